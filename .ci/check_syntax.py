#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lets the compiler of a configured build read source files without generating code: all warnings, a fraction of the time.

    check_syntax.py BUILD PATTERN...

reads every file of BUILD/compile_commands.json whose path below the source folder matches one of the patterns (regular
expressions), with the file's own command.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys


def syntax_command(entry):
    """The command of a file without its output, reading only."""
    words = shlex.split(entry["command"])
    if pathlib.Path(words[0]).name == "ccache":
        words = words[1:]
    output = words.index("-o")
    return words[:output] + words[output + 2:] + ["-fsyntax-only"]


def read(entry):
    done = subprocess.run(syntax_command(entry), cwd=entry["directory"], capture_output=True, text=True)
    return entry["file"], done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("patterns", nargs="+", metavar="PATTERN")
    arguments = parser.parse_args()

    root = pathlib.Path.cwd()
    wanted = re.compile("|".join(arguments.patterns))
    entries = [
        entry
        for entry in json.loads((arguments.build / "compile_commands.json").read_text())
        if wanted.search(os.path.relpath(entry["file"], root))
    ]
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", os.cpu_count()))) as pool:
        for file, status, text in pool.map(read, entries):
            if text:
                print(text, end="")
            if status != 0:
                print(f"FAILED: {file}")
                failures += 1
    print(f"{len(entries)} source files read, {failures} with complaints")
    return 1 if failures or not entries else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures how much text the compiler has to read for the umbrella header and for each algorithm header.

The limits are on preprocessed characters (GCC 12, libstdc++ 12), which are the same on a busy and on an idle machine,
unlike the time they take. With --time, the seconds that parsing takes are printed beside them.
"""

import argparse
import pathlib
import resource
import shutil
import subprocess
import sys

UMBRELLA = "decant/decant.hpp"
UMBRELLA_LIMIT = 4.5e6  # characters
ALGORITHM_FOLDERS = ("sample", "draft", "tree", "verify")
ALGORITHM_LIMIT = 3.3e6


def find_gcc():
    """The first compiler that is GCC and not Clang under its name."""
    for name in ("g++-12", "g++"):
        path = shutil.which(name)
        if path and "clang" not in subprocess.run([path, "--version"], capture_output=True, text=True).stdout.lower():
            return path
    return None


def headers_with_limits(include):
    if (include / UMBRELLA).exists():
        yield UMBRELLA, UMBRELLA_LIMIT
    for folder in ALGORITHM_FOLDERS:
        for path in sorted((include / "decant" / folder).glob("*.hpp")):
            yield path.relative_to(include).as_posix(), ALGORITHM_LIMIT


def compile_one(gcc, include, header, *options):
    command = [gcc, "-std=c++20", "-O0", *options, f"-I{include}", "-x", "c++", "-"]
    return subprocess.run(command, input=f"#include <{header}>\n", text=True, check=True, stdout=subprocess.PIPE).stdout


def parse_seconds(gcc, include, header):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    compile_one(gcc, include, header, "-fsyntax-only")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("include", type=pathlib.Path, help="folder that holds decant/")
    parser.add_argument("--time", action="store_true", help="measure the seconds of parsing as well")
    arguments = parser.parse_args()

    gcc = find_gcc()
    if gcc is None:
        print("test skipped: the limits are set for GCC, which was not found")
        return 0

    failures = 0
    print(f"{'header':<48} {'characters':>10} {'limit':>8}")
    for header, limit in headers_with_limits(arguments.include):
        size = len(compile_one(gcc, arguments.include, header, "-E", "-P"))
        failures += size > limit
        seconds = f"{parse_seconds(gcc, arguments.include, header):6.2f} s" if arguments.time else ""
        print(f"{header:<48} {size:10} {limit:8.0f} {seconds} {'FAILED: over the limit' if size > limit else ''}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

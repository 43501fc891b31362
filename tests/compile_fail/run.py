#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles one pair of programs: NAME.fail.cpp must be refused with the words that it expects, NAME.pass.cpp must not.

The expected words stand at the top of the failing program, one comment per phrase: `// expect: some words`.
"""

import argparse
import pathlib
import re
import subprocess
import sys

EXPECT = re.compile(r"^// expect: (.+)$", re.MULTILINE)


def one_line(text):
    return " ".join(text.split())


def compile_program(compiler, include, source):
    """Exit status and diagnostics, without source excerpts: an excerpt would show the words of any static_assert."""
    is_clang = "clang" in subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.lower()
    quiet = ["-fno-caret-diagnostics"] if is_clang else ["-fno-diagnostics-show-caret", "-fmessage-length=0"]
    command = [compiler, "-std=c++20", "-fsyntax-only", *quiet, f"-I{include}", str(source)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, run.stderr


def check_refused(compiler, include, source):
    expected = EXPECT.findall(source.read_text(encoding="ascii"))
    if not expected:
        return f"{source} has no line '// expect: words'"
    status, diagnostics = compile_program(compiler, include, source)
    if status == 0:
        return f"{source} compiles, but must be refused with: {'; '.join(expected)}"
    missing = [words for words in expected if one_line(words) not in one_line(diagnostics)]
    if missing:
        return f"{source} is refused without the words: {'; '.join(missing)}\n{diagnostics}"
    return None


def check_accepted(compiler, include, source):
    if not source.exists():
        return f"{source} is missing: every refused program has a twin that compiles"
    status, diagnostics = compile_program(compiler, include, source)
    return None if status == 0 else f"{source} must compile, but does not:\n{diagnostics}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("pair", help="path of the pair, without .fail.cpp")
    arguments = parser.parse_args()

    complaints = [
        check_refused(arguments.compiler, arguments.include, pathlib.Path(arguments.pair + ".fail.cpp")),
        check_accepted(arguments.compiler, arguments.include, pathlib.Path(arguments.pair + ".pass.cpp")),
    ]
    complaints = [complaint for complaint in complaints if complaint]
    print("\n".join(complaints) or "refused with the expected words; the twin compiles")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks the rules of the source tree that need no compiler.

Each rule is a function from the files to the complaints about them; a complaint is "file:line: sentence".
"""

import pathlib
import re
import sys

SPDX = "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
SOURCE_FOLDERS = ("include", "tests", "examples", "benchmarks", "cmake", ".ci")
SOURCE_SUFFIXES = {".hpp", ".inl", ".cpp", ".cuh", ".cu", ".cmake", ".py", ".sh", ".in"}
SOURCE_NAMES = {"CMakeLists.txt", "run"}
# Template files whose output is data: a comment line would become part of it.
DATA_TEMPLATES = {"decant.pc.in"}

LIGHT_FOLDERS = ("core", "sample", "draft", "tree", "verify", "control", "decode", "model")
HEAVY_INCLUDE = re.compile(r"\s*#\s*include\s*<(random|regex|thread|filesystem|iostream|fmt/|Eigen/)")
PRINT_OR_EXIT = re.compile(r"(?<![\w.])(?:std::)?(?:(?:f?printf|puts|abort|_?exit|quick_exit)\s*\(|(?:cout|cerr|clog)\b)")
TEST_NAME = re.compile(r"^\s*(?:TEMPLATE_)?TEST_CASE\(\s*\"([^\"]*)\"", re.MULTILINE)
WHOLE_TEST_NAME = re.compile(r"^\s*(?:TEMPLATE_)?TEST_CASE\(\s*((?:\"[^\"]*\"\s*)+)[,)]", re.MULTILINE)
NAME_BREAKS_SELECTION = re.compile(r"[\[\];*~\\]")


def source_files(root):
    top = [root / "CMakeLists.txt"]
    nested = (path for folder in SOURCE_FOLDERS for path in sorted((root / folder).rglob("*")))
    for path in [*top, *nested]:
        if path.is_file() and (path.suffix in SOURCE_SUFFIXES or path.name in SOURCE_NAMES):
            yield path


def code_lines(text):
    """(number, line) pairs of C++ text with comments and string literals blanked."""
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
    text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, line.split("//")[0]


def licence_line(root):
    for path in source_files(root):
        first_lines = path.read_text(encoding="utf-8").splitlines()[:2]
        if path.name not in DATA_TEMPLATES and not any(SPDX in line for line in first_lines):
            yield f"{path}:1: the first line must be '{SPDX}' as a comment"


def ascii_only(root):
    for path in source_files(root):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if not line.isascii():
                yield f"{path}:{number}: sources are ASCII; write other characters as escapes"


def changelog_names_version(root):
    header = (root / "include/decant/version.hpp").read_text(encoding="ascii")
    parts = dict(re.findall(r"#define DECANT_VERSION_(MAJOR|MINOR|PATCH) (\d+)", header))
    version = "{MAJOR}.{MINOR}.{PATCH}".format(**parts)
    for name, form in (("CHANGELOG.md", f"## [{version}]"), ("CITATION.cff", f"version: {version}")):
        if form not in (root / name).read_text(encoding="utf-8"):
            yield f"{root / name}:1: must hold '{form}', the version of version.hpp"


def light_headers(root):
    for folder in LIGHT_FOLDERS:
        for path in sorted((root / "include/decant" / folder).rglob("*.hpp")):
            for number, line in code_lines(path.read_text(encoding="ascii", errors="replace")):
                if HEAVY_INCLUDE.match(line):
                    yield f"{path}:{number}: a header of {folder}/ must not pay for {line.split('include')[1].strip()}"


def headers_stay_quiet(root):
    for path in sorted((root / "include").rglob("*.hpp")):
        for number, line in code_lines(path.read_text(encoding="ascii", errors="replace")):
            if PRINT_OR_EXIT.search(line):
                yield f"{path}:{number}: the library never prints, exits or aborts: {line.strip()}"


def test_names_can_be_selected(root):
    for path in sorted((root / "tests").glob("*/*_test.cpp")):
        for name in TEST_NAME.findall(path.read_text(encoding="ascii", errors="replace")):
            if NAME_BREAKS_SELECTION.search(name):
                yield f"{path}:1: the test runner cannot select a test case by the name '{name}'"


def test_names_are_unique(root):
    """Two test cases of one name in a program make it list none, and the suite would pass without them."""
    for folder in sorted(path for path in (root / "tests").iterdir() if path.is_dir()):
        seen = {}
        for path in sorted(folder.glob("*_test.cpp")):
            for literals in WHOLE_TEST_NAME.findall(path.read_text(encoding="ascii", errors="replace")):
                name = "".join(re.findall(r'"([^"]*)"', literals))
                if name in seen:
                    yield f"{path}:1: the test case '{name}' is in {seen[name].name} already"
                seen[name] = path


RULES = (licence_line, ascii_only, changelog_names_version, light_headers, headers_stay_quiet,
         test_names_can_be_selected, test_names_are_unique)


def main():
    root = pathlib.Path(sys.argv[1])
    complaints = [complaint for rule in RULES for complaint in rule(root)]
    for complaint in complaints:
        print(complaint)
    print(f"{len(list(source_files(root)))} source files, {len(RULES)} rules, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

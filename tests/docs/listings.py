#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Checks that every C++ listing of the documents is the text of a file that the tests compile.

A listing is a ```cpp block right after `<!-- listing: path -->` (the whole file without its licence line) or
`<!-- listing: path#region -->` (the lines between `// [region]` and `// [/region]`, without their common indentation).
"""

import argparse
import pathlib
import re
import sys
import textwrap

FENCE = "```cpp"
MARKER = re.compile(r"<!-- listing: ([^#\s]+)(?:#(\S+))? -->")
LICENCE = "// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"
COMPILED_FOLDERS = ("examples/", "tests/")


def whole_file(text):
    return "\n".join(line for line in text.splitlines() if line != LICENCE).strip("\n")


def region(text, name):
    """The lines of a region, or None when its two marks are not there."""
    marks = [line.strip() for line in text.splitlines()]
    begin, end = f"// [{name}]", f"// [/{name}]"
    if begin not in marks or end not in marks:
        return None
    return textwrap.dedent("\n".join(text.splitlines()[marks.index(begin) + 1 : marks.index(end)]))


def listing_source(root, path, name):
    """The text a listing must have, or a complaint."""
    if not path.startswith(COMPILED_FOLDERS):
        return None, f"{path} is outside {' and '.join(COMPILED_FOLDERS)}, which the tests compile"
    if not (root / path).is_file():
        return None, f"{path} does not exist"
    text = (root / path).read_text(encoding="ascii")
    expected = whole_file(text) if name is None else region(text, name)
    return expected, None if expected is not None else f"{path} has no region '{name}'"


def blocks(lines):
    """(first line, end line, marker line) of every C++ block, as indices of the lines between its fences."""
    for start, line in enumerate(lines):
        if line.strip() == FENCE:
            end = next(i for i in range(start + 1, len(lines)) if lines[i].strip() == "```")
            marker = next((previous for previous in reversed(lines[:start]) if previous.strip()), "")
            yield start + 1, end, marker.strip()


def block_text(root, marker):
    """The text that the block after a marker must have, or a complaint."""
    match = MARKER.fullmatch(marker)
    if match is None:
        return None, "a C++ block must follow a line '<!-- listing: path -->'"
    return listing_source(root, *match.groups())


def check(root, document):
    """Number of listings, and the complaints about them."""
    lines = document.read_text(encoding="utf-8").splitlines()
    complaints = []
    found = list(blocks(lines))
    for first, end, marker in found:
        expected, complaint = block_text(root, marker)
        if complaint is None and "\n".join(lines[first:end]) != expected:
            complaint = f"the block differs from its file; run {sys.argv[0]} --write {root}"
        if complaint is not None:
            complaints.append(f"{document}:{first}: {complaint}")
    return len(found), complaints


def write(root, document):
    """Replaces the text of every listing by that of its file."""
    lines = document.read_text(encoding="utf-8").splitlines()
    for first, end, marker in reversed(list(blocks(lines))):
        expected, complaint = block_text(root, marker)
        if complaint is None:
            lines[first:end] = expected.splitlines()
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path, help="folder of the project")
    parser.add_argument("--write", action="store_true", help="bring the documents up to date before the check")
    arguments = parser.parse_args()

    documents = [arguments.root / "README.md", *sorted((arguments.root / "docs").glob("**/*.md"))]
    if arguments.write:
        for document in documents:
            write(arguments.root, document)
    results = [check(arguments.root, document) for document in documents]
    complaints = [complaint for _, found in results for complaint in found]
    count = sum(number for number, _ in results)
    print("\n".join([*complaints, f"{count} listings in {len(documents)} documents, {len(complaints)} complaints"]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

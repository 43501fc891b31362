#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the single-header form of the library.

Follows the project's own includes only, `#include <decant/...>`, and replaces each by the text of the file: a header the
first time it is met, an .inl file, which is included once per instruction set, every time. Standard headers stay as they
are. The result starts with the version and the licence.
"""

import argparse
import pathlib
import re
import sys

OWN_INCLUDE = re.compile(r"#include <(decant/[^>]+)>")
CONDITION_BEGIN = re.compile(r"#\s*if")
CONDITION_END = re.compile(r"#\s*endif")
VERSION_PART = re.compile(r"#define DECANT_VERSION_(MAJOR|MINOR|PATCH) (\d+)")
SPDX_LINE = "// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception"

BANNER = """{spdx}
//
// Decant {version}, single header. Generated from the header tree: change that, not this file.
// Licensed under the Apache License, Version 2.0, with LLVM Exceptions: https://llvm.org/LICENSE.txt
"""


def read_version(root):
    text = (root / "decant" / "version.hpp").read_text(encoding="ascii")
    parts = dict(VERSION_PART.findall(text))
    return "{MAJOR}.{MINOR}.{PATCH}".format(**parts)


def expand(root, name, seen):
    """The lines of one header with its own includes replaced; `seen` holds the headers already written."""
    seen.add(name)
    depth = 0
    for number, line in enumerate((root / name).read_text(encoding="ascii").splitlines(), start=1):
        if line == SPDX_LINE:
            continue
        include = OWN_INCLUDE.match(line)
        if include is None:
            depth += bool(CONDITION_BEGIN.match(line)) - bool(CONDITION_END.match(line))
            yield line
            continue
        if include.group(1).endswith(".inl"):
            yield from expand(root, include.group(1), seen)
            continue
        if depth > 1:  # depth 1 is the include guard
            sys.exit(f"{name}:{number}: an include of the library's own inside a condition cannot be written once")
        if include.group(1) not in seen:
            yield from expand(root, include.group(1), seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--include", type=pathlib.Path, required=True, help="folder that holds decant/")
    parser.add_argument("--umbrella", default="decant/decant.hpp", help="header to start from")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file to write")
    arguments = parser.parse_args()

    banner = BANNER.format(spdx=SPDX_LINE, version=read_version(arguments.include))
    lines = expand(arguments.include, arguments.umbrella, set())
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(banner + "\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()

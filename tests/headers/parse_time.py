#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures how long the compiler needs to parse the umbrella header and each algorithm header.

The limits hold for GCC 12 at -O0. Times on shared machines are noisy, so the best of several runs counts, the standard
headers that the library stands on are measured beside them to tell a busy or slow machine from a heavy header, and the
test fails only above 1.5 times the limit.
"""

import argparse
import pathlib
import resource
import shutil
import subprocess
import sys

UMBRELLA = "decant/decant.hpp"
UMBRELLA_LIMIT = 1.5  # seconds
ALGORITHM_FOLDERS = ("sample", "draft", "tree", "verify")
ALGORITHM_LIMIT = 0.5  # seconds
TOLERANCE = 1.5
MOST_RUNS = 3

# The standard headers every algorithm header needs, and what they cost on an idle 3 GHz x86-64 machine (GCC 12.2).
STANDARD = "array bit algorithm cmath concepts cstdint limits span vector"
STANDARD_SECONDS = 0.33


def find_gcc():
    """The first compiler that is GCC and not Clang under its name."""
    for name in ("g++-12", "g++"):
        path = shutil.which(name)
        if path and "clang" not in subprocess.run([path, "--version"], capture_output=True, text=True).stdout.lower():
            return path
    return None


def parse_once(command, source):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, input=source, text=True, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def parse_seconds(gcc, include, headers, limit):
    """User time of compiling a file that includes only `headers`: the best of up to MOST_RUNS runs, until it would pass."""
    command = [gcc, "-std=c++20", "-O0", "-fsyntax-only", f"-I{include}", "-x", "c++", "-"]
    source = "".join(f"#include <{header}>\n" for header in headers.split())
    best = parse_once(command, source)
    for _ in range(MOST_RUNS - 1):
        if best > TOLERANCE * limit:
            best = min(best, parse_once(command, source))
    return best


def machine_slowness(gcc, include):
    """How many times slower than the machine of STANDARD_SECONDS this one is at the moment, at least 1."""
    return max(1.0, parse_seconds(gcc, include, STANDARD, STANDARD_SECONDS) / STANDARD_SECONDS)


def headers_with_limits(include):
    if (include / UMBRELLA).exists():
        yield UMBRELLA, UMBRELLA_LIMIT
    for folder in ALGORITHM_FOLDERS:
        for path in sorted((include / "decant" / folder).glob("*.hpp")):
            yield path.relative_to(include).as_posix(), ALGORITHM_LIMIT


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("include", type=pathlib.Path, help="folder that holds decant/")
    include = parser.parse_args().include

    gcc = find_gcc()
    if gcc is None:
        print("test skipped: the limits are set for GCC, which was not found")
        return 0

    slowness = machine_slowness(gcc, include)
    print(f"limits are multiplied by {slowness:.2f}, which is how much slower the standard headers are parsed here")

    failures = 0
    print(f"{'header':<48} {'seconds':>8} {'limit':>6}")
    for header, nominal in headers_with_limits(include):
        limit = nominal * slowness
        seconds = parse_seconds(gcc, include, header, limit)
        if seconds > TOLERANCE * limit:  # has the machine become busier meanwhile?
            slowness = machine_slowness(gcc, include)
            limit = nominal * slowness
        verdict = "ok" if seconds <= limit else "over the limit"
        if seconds > TOLERANCE * limit:
            verdict = f"FAILED: above {TOLERANCE} x the limit"
            failures += 1
        print(f"{header:<48} {seconds:8.2f} {limit:6.2f}  {verdict}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Draws the figures of docs/trees.md from the JSON of bench_trees.

usage: plot_trees.py trees.json [folder]
Needs matplotlib. Writes trees_tokens.svg, trees_speed.svg and trees_claims.svg.
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "decant", "font.size": 9, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
})

# One line per builder, each with the verifier that suits it.
LINES = [
    ("chain", "block", "#7f7f7f", "-"),
    ("SpecInfer", "rejection", "#1f77b4", "-"),
    ("RSD-C", "rejection", "#17becf", "-"),
    ("RSD-S", "traversal", "#2ca02c", "-"),
    ("Sequoia", "traversal", "#9467bd", "-"),
    ("DySpec heap", "traversal", "#d62728", "-"),
    ("DySpec threshold", "traversal", "#d62728", ":"),
    ("calibrated paths", "match", "#bcbd22", "--"),
    ("OPT-Tree", "match", "#ff7f0e", "--"),
    ("EAGLE-2", "match", "#8c564b", "--"),
]


def line_of(rows, world, temperature, builder, verifier, value):
    points = [(r["budget"], value(r)) for r in rows
              if r["world"] == world and r["temperature"] == temperature and r["builder"] == builder
              and r["verifier"] == verifier]
    return sorted(points)


def panels(rows, worlds, temperatures, value, label, log_y=False):
    figure, axes = plt.subplots(len(worlds), len(temperatures), sharex=True, squeeze=False,
                                figsize=(3.3 * len(temperatures), 2.7 * len(worlds)))
    for i, world in enumerate(worlds):
        for j, temperature in enumerate(temperatures):
            axis = axes[i][j]
            for builder, verifier, colour, style in LINES:
                points = line_of(rows, world, temperature, builder, verifier, value)
                if points:
                    axis.plot(*zip(*points), style, color=colour, marker=".", linewidth=1.2,
                              label=f"{builder} / {verifier}")
            axis.set_xscale("log", base=2)
            if log_y:
                axis.set_yscale("log", base=2)
            axis.set_title(f"{world}, T = {temperature:g}", fontsize=9)
            if i == len(worlds) - 1:
                axis.set_xlabel("nodes allowed")
            if j == 0:
                axis.set_ylabel(label)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.09 if len(worlds) > 1 else 0.2, 1, 1))
    return figure


def claims(found):
    found = [c for c in found if c["all"]["cells"] > 0]
    figure, axis = plt.subplots(figsize=(8.5, 0.36 * len(found) + 1))
    for y, one in enumerate(reversed(found)):
        seen = one["all"]
        colour = {"holds": "#2ca02c", "does not hold": "#d62728"}.get(seen["verdict"], "#7f7f7f")
        axis.plot([100 * seen["smallest"], 100 * seen["largest"]], [y, y], color=colour, alpha=0.4, linewidth=2)
        axis.errorbar(100 * seen["gain"], y, xerr=200 * seen["error"], fmt="o", color=colour, markersize=4, capsize=2)
    axis.set_yticks(range(len(found)), [c["claim"] for c in reversed(found)], fontsize=8)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlabel("gain in tokens per pass, % (dot: mean, bar: all cells)")
    figure.tight_layout()
    return figure


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    data = json.loads(pathlib.Path(sys.argv[1]).read_text())
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else pathlib.Path(__file__).parent)
    rows = data["results"]
    texts = sorted({r["world"] for r in rows if r["world"].startswith("text")})
    toys = sorted({r["world"] for r in rows if r["world"].startswith("toy")})
    worlds = toys[1:2] + texts[1:2] or toys[:1]
    temperatures = sorted({r["temperature"] for r in rows})
    out = {
        "trees_tokens": panels(rows, worlds, temperatures, lambda r: r["tokens"], "tokens per pass"),
        "trees_speed": panels([r for r in rows if "speed" in r], worlds[-1:], temperatures,
                              lambda r: r["speed"]["flat"], "speed over plain decoding", log_y=True),
        "trees_claims": claims(data["claims"]),
    }
    for name, figure in out.items():
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

"""A table of the benchmark of the steppers: ``auto`` against the article's rule, and errors over tolerances.

python benchmarks/bars.py benchmarks/results/solvers.json [benchmarks/results/tolerance.json]
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def against_article(rows: list[Row]) -> str:
    """Work, CPU time and error of F of both, one line for each case and end.

    Raises:
        SystemExit: rows of a broken benchmark.
    """
    lines = [
        "| data, h | √h·α | until | gradient-equivalents, `article` → `auto` | ratio | CPU, s | ratio | error of F |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cases: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = (row["dataset"], row["h"], row["sqrt_h_alpha"], row["until"])
        cases.setdefault(key, {})[row["stepper"]] = row
    for (dataset, h, x, until), found in cases.items():
        broken = [name for name, row in found.items() if not row["error_F"] < 0.5]
        if broken:
            raise SystemExit(f"{dataset}, h = {h}, √h·α = {x:g}: an error of F of 1 is no result: {', '.join(broken)}.")
        old, new = found["article"], found["auto"]
        work, spent = (old[k] / new[k] for k in ("gradient_equivalents", "cpu_s"))
        lines.append(
            f"| {dataset}, {h} | {x:g} | {until} "
            f"| {old['gradient_equivalents']:.0f} → {new['gradient_equivalents']:.0f} | {work:.1f} "
            f"| {old['cpu_s']:.2f} → {new['cpu_s']:.2f} | {spent:.1f} "
            f"| {old['error_F']:.1e} → {new['error_F']:.1e} |"
        )
    return "\n".join(lines)


def over_tolerances(rows: list[Row]) -> str:
    """The largest error of F and of w − w₀ over the tolerance, one line for each stepper and tolerance."""
    lines = ["| stepper | tolerance | error of F / tolerance | error of w − w₀ / tolerance |", "|---|---|---|---|"]
    for stepper in dict.fromkeys(row["stepper"] for row in rows):
        for tolerance in sorted({row["tolerance"] for row in rows if row["stepper"] == stepper}, reverse=True):
            mine = [row for row in rows if (row["stepper"], row["tolerance"]) == (stepper, tolerance)]
            f, w = (max(row[k] for row in mine) / tolerance for k in ("error_F", "error_w"))
            lines.append(f"| {stepper} | {tolerance:g} | {f:.2f} | {w:.2f} |")
    return "\n".join(lines)


def main(files: Sequence[str]) -> None:
    """Print the tables of the files named on the command line."""
    for table, name in zip((against_article, over_tolerances), files, strict=False):
        print(table(json.loads(Path(name).read_text())), end="\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])

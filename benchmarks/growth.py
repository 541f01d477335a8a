"""How time and memory grow with P, h, L, members and cells: one core, exponents fitted, docs/growth.md written.

    python benchmarks/growth.py [--curves NAME …] [--turns 3] [--json FILE] [--only-draw]

Each curve is measured in a process of its own, on one thread. Its sizes take turns; a time is the least of them, in
seconds of CPU, so that other processes of a machine matter little. Memory is what the process held at most, beyond what
it held before the first size, what is measured and its inputs included. Every result is checked; one that is wrong
stops the script, and so do times that are no power of the size.

What is expected, and was written down before anything was measured: over the sizes that are fitted, the exponent of the
time is that of counted work, flops or cells, to ``APART``: large products of matrices are done at one rate, small ones
at a lower one, which lowers an exponent, and what is not counted, such as activations, grows no faster.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from growth_curves import CURVES, Curve
from kernels import resident

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "growth.md"
RECORD = ROOT / "benchmarks" / "results" / "growth.json"
APART = 0.3
"""How far an exponent of time may be from that of counted work."""
SCATTER = 0.35
"""Largest distance of a point from a fit, in log t, for which there is a power: a factor of 1.4."""
LEAST = 0.05
"""Seconds that a size is repeated for, where one time is shorter."""
LONG = 2.0
"""Seconds beyond which one turn says enough."""
DPI = 110
Row = dict[str, Any]


@dataclass(frozen=True)
class Fit:
    """y = c·xᵖ by least squares in logarithms.

    Attributes:
        power: p.
        error: standard error of p; 0 of two points.
        scatter: the largest distance of a point, in log y.
        constant: c.
    """

    power: float
    error: float
    scatter: float
    constant: float

    @classmethod
    def of(cls, x: Sequence[float], y: Sequence[float]) -> "Fit":
        """The fit to at least two points."""
        u, v = ([math.log(value) for value in values] for values in (x, y))
        n, mean_u, mean_v = len(u), sum(u) / len(u), sum(v) / len(v)
        spread = sum((a - mean_u) ** 2 for a in u)
        power = sum((a - mean_u) * (b - mean_v) for a, b in zip(u, v, strict=True)) / spread
        off = [b - mean_v - power * (a - mean_u) for a, b in zip(u, v, strict=True)]
        error = math.sqrt(sum(one**2 for one in off) / (n - 2) / spread) if n > 2 else 0.0
        return cls(power, error, max(map(abs, off)), math.exp(mean_v - power * mean_u))


def measure(curve: Curve, turns: int) -> list[Row]:
    """A row for each size.

    Raises:
        SystemExit: a result that is wrong.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        warm = curve.make(curve.sizes[0], folder)
        warm.do()  # what the first call loads is not part of it
        before = resident("VmRSS")
        for turn in range(turns):
            for place, size in enumerate(curve.sizes):
                if turn and rows[place]["cpu_s"] > LONG:
                    continue
                work = curve.make(size, folder)
                began = time.process_time()
                result = work.do()
                took, repeats = time.process_time() - began, 1
                if not turn:
                    peak = resident("VmHWM") - before
                    if wrong := work.wrong(result):
                        raise SystemExit(f"{curve.name}, {curve.against} = {size}: {wrong}. This is no result.")
                    row = {"what": curve.what, "against": curve.against, "size": size, "fixed": curve.fixed}
                    rows.append(row | {"cpu_s": math.inf, "peak_bytes": peak, "counted": work.counted(result)})
                while took < LEAST:
                    began = time.process_time()
                    work.do()
                    took, repeats = took + time.process_time() - began, repeats + 1
                rows[place]["cpu_s"] = min(rows[place]["cpu_s"], took / repeats / work.parts)
        return rows


def fitted(rows: Sequence[Row], last: int) -> tuple[Fit, Fit, Fit | None]:
    """Fits of time, counted work and memory to the largest sizes; of memory that is not known there is none.

    Raises:
        SystemExit: times that are no power of the size.
    """
    used = rows[-last:]
    sizes = [row["size"] for row in used]
    seconds, counted = (Fit.of(sizes, [row[name] for row in used]) for name in ("cpu_s", "counted"))
    if not seconds.scatter < SCATTER:
        first = used[0]
        raise SystemExit(
            f"{first['what']} against {first['against']}: times are up to a factor of {math.exp(seconds.scatter):.2f} "
            "from a power of the size. Measure again on a machine that is less busy."
        )
    memory = [row["peak_bytes"] for row in used]
    return seconds, counted, Fit.of(sizes, memory) if min(memory) > 0 else None


def verdict(seconds: Fit, counted: Fit) -> str:
    """Whether the time grows as what is counted."""
    return "as counted" if abs(seconds.power - counted.power) <= APART else "**differs**"


def told(fit: Fit | None) -> str:
    """An exponent, with its standard error."""
    return f"{fit.power:.2f} ± {fit.error:.2f}" if fit else "–"


def by_curve(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each curve, by its name, in the order of ``CURVES``."""
    mine = {
        name: [row for row in rows if (row["what"], row["against"]) == (one.what, one.against)]
        for name, one in CURVES.items()
    }
    return {name: found for name, found in mine.items() if found}


def table(rows: Sequence[Row]) -> str:
    """Exponents as Markdown, a line for each curve."""
    lines = [
        "| | against | from … to | fixed | time ~ | counted work ~ | | memory ~ | at the largest |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, found in by_curve(rows).items():
        seconds, counted, memory = fitted(found, CURVES[name].fitted)
        first, last = found[-CURVES[name].fitted :][0], found[-1]
        size = f"{last['cpu_s']:.3g} s, {last['peak_bytes'] / 2**20:.0f} MiB"
        lines.append(
            f"| {last['what']} | {last['against']} | {first['size']:,} … {last['size']:,} | {last['fixed']} "
            f"| {told(seconds)} | {counted.power:.2f} | {verdict(seconds, counted)} | {told(memory)} | {size} |"
        )
    return "\n".join(lines)


def draw(rows: Sequence[Row], folder: Path) -> list[str]:
    """A picture of time and memory for each thing that is done; names of the files."""
    import matplotlib.pyplot as plt

    from feature_lazy.study.figures.style import STYLE, look

    folder.mkdir(parents=True, exist_ok=True)
    curves, names = by_curve(rows), []
    for what in dict.fromkeys(group[0]["what"] for group in curves.values()):
        mine = {name: group for name, group in curves.items() if group[0]["what"] == what}
        with plt.rc_context({**STYLE, "figure.figsize": (7.2, 3.6), "font.size": 9}):
            figure, (left, right) = plt.subplots(1, 2)
            for index, (name, group) in enumerate(mine.items()):
                sizes, against = [row["size"] for row in group], group[0]["against"]
                used = sizes[-CURVES[name].fitted :]
                seconds, _, memory = fitted(group, len(used))
                for axes, column, fit, unit in ((left, "cpu_s", seconds, 1), (right, "peak_bytes", memory, 2**20)):
                    shown = [(size, row[column] / unit) for size, row in zip(sizes, group, strict=True)]
                    points = [point for point in shown if point[1] > 0]
                    power = f": ~ {against}$^{{{fit.power:.2f}}}$" if fit else ""
                    axes.plot(*zip(*points, strict=True), ls="", **look(index), label=f"{against}{power}")
                    if fit:
                        line = [fit.constant * size**fit.power / unit for size in used]
                        axes.plot(used, line, color=look(index)["color"], lw=1)
            across = " or ".join(dict.fromkeys(group[0]["against"] for group in mine.values()))
            for axes, up in ((left, "CPU time, s"), (right, "memory, MiB")):
                axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
            figure.suptitle(what, fontsize=10)
            names.append(f"{CURVES[next(iter(mine))].short}.png")
            figure.savefig(folder / names[-1], dpi=DPI)
            plt.close(figure)
    return names


HEAD = """# What grows, and how

Time and memory of one core, measured by `make growth` in five minutes of it. Networks are fully-connected, on patterns
of 64 numbers, with softplus, in float64. Each curve has a process of its own and one thread; its sizes take turns, and
a time is the least of up to three turns, in seconds of CPU. Memory is what the process held at most beyond what it held
before, inputs included. Θ is held against gradients, gradients against those of two halves of the patterns, plans and
`status` against the number of cells: what is wrong stops [the script](../benchmarks/growth.py).

An exponent is fitted to the sizes named, the largest ones, by least squares in logarithms; ± is its standard error.
*Counted work* is the exponent, over the same sizes, of the flops of all products that are done, or of the number of
cells. Expected before anything was measured: the time goes as counted, to ± 0.3.
"""


TAIL = """## Why

* **Θ** is P² products of the layers' inputs and signals, P²·h, and passes through the network, P·h²: against h the
  exponent lies between 1 and 2 as long as P is not far below h. Its own P² numbers are half of the memory at P = 4000.
* **A gradient** is three passes, P·h²·L; its memory is the activations, P·h·L. Products of small matrices run at a
  quarter of the rate of large ones: exponents against h are below what is counted until that rate is reached.
* **A step** of the default stepper, at the start of a training and √h·α = 1, is between three and four gradients.
  Against h it was first measured to 800, where the time went as 1.5: the rate was rising still. Since then it has the
  sizes of the other curves.
* **Members** that train together take the time of as many; below a few, less. Their memory does not grow as their
  number where they are taken a few at a time, so that temporaries stay small.
* **Planning** is two compositions by Hydra, half a second, and then the same for each cell: its values are set, checked
  against types and ranges and hashed to its id, and all are held until the plan is written.
* **`status`** reads the manifest of every run, and holds it: memory and time go as the number of runs.
"""


def page(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The page as Markdown."""
    pictures = [f"![{name.removesuffix('.png').replace('_', ' ')}](growth/{name})" for name in names]
    return "\n\n".join([HEAD.strip(), table(rows), TAIL.strip(), *pictures]) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the curves named on the command line, and write the page.

    Raises:
        SystemExit: a curve that is no result.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", nargs="+", default=list(CURVES), choices=CURVES)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, default=RECORD, help="all rows; those of other curves stay there")
    parser.add_argument("--page", type=Path, default=PAGE, help="pictures lie beside it in growth/")
    parser.add_argument("--only-draw", action="store_true", help="measure nothing")
    parser.add_argument("--one", choices=CURVES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        torch.set_num_threads(1)
        print(json.dumps(measure(CURVES[options.one], options.turns)))
        return
    known = by_curve(json.loads(options.json.read_text())) if options.json.exists() else {}
    for name in options.curves if not options.only_draw else ():
        began = time.perf_counter()
        command = [sys.executable, __file__, "--one", name, "--turns", str(options.turns)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.returncode)
        known[name] = json.loads(done.stdout.splitlines()[-1])
        seconds, counted, memory = fitted(known[name], CURVES[name].fitted)
        print(
            f"{name:28s} time ~ {told(seconds)}, counted {counted.power:.2f}: {verdict(seconds, counted)}; "
            f"memory ~ {told(memory)}; took {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        rows = [row for each in CURVES if each in known for row in known[each]]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    rows = [row for each in CURVES if each in known for row in known[each]]
    options.page.write_text(page(rows, draw(rows, options.page.parent / "growth")))


if __name__ == "__main__":
    main()

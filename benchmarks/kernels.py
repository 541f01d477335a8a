"""The exact tangent kernel layer by layer against the two usual ways: wall time, peak memory, flops, in one run.

    python benchmarks/kernels.py [--cases fc-500-64-100 …] [--methods …] [--repeats 5] [--json FILE]

``jacobian_contraction`` is PyTorch's own recipe: ``vmap(jacrev(functional_call))`` of a plain module, contracted
weight by weight. ``per_sample`` is a backward pass for each pattern, contracted at the end. Both hold the P × N
Jacobian; where that is larger than ``--jacobian-limit`` they are left out, with what it would take. Two more ways go on
where it does not fit, and are run when named: ``jacobian_by_weight`` holds the Jacobian of one weight, and pays with
passes for each; ``generic`` is ``kernels.empirical_kernel``, which holds some rows and makes the others again.

Wall times are medians of repeats that take turns; peak memory is that of a process of its own, beyond what it held when
it began. One thread.
"""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from kernel_ways import CASES, DEFAULT, METHODS, Case, flops, inputs, jacobian_bytes, limit_of
from torch import Tensor

from feature_lazy.kernels import relative_change

APART = 1e-10
"""How far two ways may be apart, relative to the kernel: rounding."""


def peak(case: Case, method: str) -> int:
    """Bytes that a process of its own needs beyond its inputs, the result included."""
    command = [sys.executable, __file__, "--peak", case.name, method]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(case: Case, method: str) -> None:
    """In a process of its own: do it once and say how much memory it took."""
    weights, x = inputs(case)
    small = Case(case.architecture, 2, case.d, 2)
    METHODS[method](small, *inputs(small), None)  # what the first call loads is not part of it
    before = resident("VmRSS")
    METHODS[method](case, weights, x, limit_of(case))
    print(resident("VmHWM") - before)


def resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM; Linux)."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1])  # type: ignore[index]


def matrix_rate() -> float:
    """What this core does in float64, flops a second: the best of a few square products."""
    a = torch.randn(2000, 2000, dtype=torch.float64)
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * len(a) ** 3 / best


def rows(case: Case, methods: list[str], repeats: int, limit: float) -> list[dict[str, Any]]:
    """One row for each method that fits into memory.

    Raises:
        SystemExit: two methods whose kernels differ.
    """
    fits = [m for m in methods if jacobian_bytes(case, m) <= limit]
    weights, x = inputs(case)
    times: dict[str, list[float]] = {method: [] for method in fits}
    results: dict[str, Tensor] = {}
    for _ in range(repeats):
        for method in fits:
            began = time.perf_counter()
            results[method] = METHODS[method](case, weights, x, limit_of(case))
            times[method].append(time.perf_counter() - began)
    first = results[fits[0]][None]
    found: list[dict[str, Any]] = []
    for method in methods:
        row: dict[str, Any] = {"architecture": case.architecture, "P": case.n, "d": case.d, "h": case.h}
        row |= {"method": method, "wall_s": None, "peak_bytes": None, "jacobian_bytes": jacobian_bytes(case)}
        if method in fits:
            wall = statistics.median(times[method])
            row |= {"wall_s": wall, "peak_bytes": peak(case, method), "flops": flops(case, method)}
            row |= {
                "flops_per_s": row["flops"] / wall,
                "difference": float(relative_change(results[method][None], first)),
            }
            if not row["difference"] < APART:
                raise SystemExit(
                    f"{case.name}: {method} is {row['difference']:.2g} from {fits[0]}: not the same kernel."
                )
        found.append(row)
        done = (
            f"{row['wall_s']:9.3f} s  {row['peak_bytes'] / 2**20:8.0f} MiB  {row['flops_per_s'] / 1e9:5.1f} GFlop/s"
            if method in fits
            else f"its Jacobian alone takes {jacobian_bytes(case, method) / 2**30:.1f} GiB"
        )
        print(f"{case.name:18s} {method:21s} {done}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES)[:-1], choices=CASES)
    parser.add_argument("--methods", nargs="+", default=DEFAULT, choices=METHODS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jacobian-limit", type=float, default=6e9, help="bytes; default 6e9")
    parser.add_argument("--json", help="write all rows to this file")
    parser.add_argument("--peak", nargs=2, metavar=("CASE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.peak:
        name, method = options.peak
        print_peak(CASES[name], method)
        return
    rate = matrix_rate()
    print(f"float64 matrix rate of this core: {rate / 1e9:.1f} GFlop/s")
    table: list[dict[str, Any]] = []
    for name in options.cases:
        # Large cases say enough in one go.
        repeats = 1 if CASES[name].n * CASES[name].h > 60_000 else options.repeats
        table += [
            {**row, "matrix_rate": rate} for row in rows(CASES[name], options.methods, repeats, options.jacobian_limit)
        ]
        if options.json:
            with open(options.json, "w") as file:
                json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()

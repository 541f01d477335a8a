"""What a tracker adds to a job of one process on one core: pairs of the same runs with it and without, in turns.

python benchmarks/tracking.py [--tracker wandb] [--pairs N] [--json FILE]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONG = ["dataset=mnist5k", "dataset.n_train=1000", "dataset.n_test=1000", "width.h=500", "alpha.value=0.1"]
CASES = {
    "1 run of the defaults": [],
    "8 runs of the defaults": ["-m", "seed.value=range(8)"],
    "1 run of mnist5k, P = 1000, h = 500": LONG,
}
"""Overrides, by what they train."""


def seconds(overrides: list[str], tracker: str) -> tuple[float, float]:
    """Wall seconds of a command, and CPU seconds of it and of all that it started.

    Raises:
        SystemExit: it stored no run.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", *overrides, f"tracking={tracker}", f"output_dir={folder}/results"]
        if "-m" in overrides:
            command.append("hydra.launcher.n_jobs=1")
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if not list(Path(folder).glob("results/runs/*/done")):
            raise SystemExit(f"{' '.join(overrides)} with {tracker}: no run is complete, so its time says nothing.")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every case and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracker", default="wandb")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    for name, overrides in CASES.items():
        pairs = [(seconds(overrides, "none"), seconds(overrides, options.tracker)) for _ in range(options.pairs)]
        row: dict[str, object] = {"runs": name, "tracker": options.tracker, "pairs": options.pairs}
        for i, clock in enumerate(("wall", "cpu")):
            without = statistics.median(one[i] for one, _ in pairs)
            added = statistics.median(other[i] - one[i] for one, other in pairs)
            row |= {f"{clock}_s": without, f"{clock}_added_s": added, f"{clock}_added": added / without}
        rows.append(row)
        print(
            f"{name}: {row['wall_s']:.1f} s, and {row['wall_added_s']:.2f} s more with {options.tracker} "
            f"({row['wall_added']:.1%}); CPU {row['cpu_s']:.1f} s, and {row['cpu_added_s']:.2f} s "
            f"({row['cpu_added']:.1%})",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Two commits, the same runs: run ids, histories, summaries and arrays must be equal bit for bit.

    python benchmarks/two_commits.py OLD NEW [--all] [--json FILE]

Each commit is checked out into a git worktree of its own and trains by ``python train.py``, in this environment; only
its command line and its files are used, so its modules may lie elsewhere. What NEW has beyond OLD, such as another
column, is no difference. Exits with 1 if there is one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
PROSE = {"auto/why"}
"""Sentences in a summary; they may be worded anew."""


def git(*arguments: str) -> str:
    """What git answers in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def train(tree: Path, code: Path, overrides: tuple[str, ...], results: Path) -> str | None:
    """Train by the command line of a worktree: None, or why it did not end well."""
    command = [sys.executable, "train.py", *overrides, f"output_dir={results}", "threads=1"]
    # Before the installed package, which is that of some checkout.
    path = os.pathsep.join([str(tree), str(code)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    lines = (done.stderr or done.stdout).strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")


def runs(results: Path) -> dict[str, Path]:
    """Folders of the stored runs by run id."""
    return {path.name: path for path in sorted(results.glob("runs/*")) if (path / "manifest.json").exists()}


def source(run: Path) -> str:
    """The commit that trained a run, as its manifest says."""
    return json.loads((run / "manifest.json").read_text())["provenance"]["git"]["revision"]


def differences(old: Path, new: Path) -> Iterator[str]:
    """Where two stored runs differ, a line each."""
    rows = [(run / "history.jsonl").read_text().splitlines() for run in (old, new)]
    if len(rows[0]) != len(rows[1]):
        yield f"{len(rows[0])} observations, now {len(rows[1])}"
    # Numbers as they are written, which is exact; NaN is null.
    for i, (one, other) in enumerate(zip(*rows, strict=False)):
        yield from _values(json.loads(one, parse_float=str), json.loads(other, parse_float=str), f"observation {i}: ")
    summaries = (json.loads((run / "manifest.json").read_text(), parse_float=str)["summary"] for run in (old, new))
    yield from _values(*summaries, "summary: ")
    before, after = (load_file(run / "outputs.safetensors") for run in (old, new))
    for name in sorted(before):
        if name not in after:
            yield f"array {name} is missing"
        elif not _same_bits(before[name], after[name]):
            yield f"array {name} differs"


def _values(old: dict[str, Any], new: dict[str, Any], where: str) -> Iterator[str]:
    for name in old:
        if name not in new:
            yield f"{where}{name} is missing"
        elif name not in PROSE and (type(old[name]), old[name]) != (type(new[name]), new[name]):
            yield f"{where}{name} was {old[name]}, is {new[name]}"


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


def compare(trees: list[Path], code: Path, overrides: tuple[str, ...], folder: Path) -> tuple[int, list[str]]:
    """Train one case with both commits: how many runs there are, and where they differ."""
    results = [folder / tree.name for tree in trees]
    failures = [train(tree, code, overrides, where) for tree, where in zip(trees, results, strict=True)]
    if any(failures):
        return 0, [f"{tree.name}: {failure}" for tree, failure in zip(trees, failures, strict=True) if failure]
    old, new = map(runs, results)
    found = [] if old and old.keys() == new.keys() else [f"run ids {', '.join(old)}, now {', '.join(new)}"]
    for tree, stored in zip(trees, (old, new), strict=True):
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, check=True, capture_output=True, text=True)
        found += [
            f"{run} was trained by {source(path)}" for run, path in stored.items() if source(path) not in head.stdout
        ]
    for run in [run for run in old if run in new]:
        found += [f"{run}: {line}" for line in differences(old[run], new[run])]
    return len(old), found


def table(commits: list[str], cases: dict[str, tuple[str, ...]], code_text: bytes) -> list[dict[str, Any]]:
    """A row for each case; the worktrees are removed at the end."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        home, trees = Path(name), [Path(name) / side for side in ("old", "new")]
        (home / "code").mkdir()
        (home / "code" / "pinned_code.py").write_bytes(code_text)
        try:
            for tree, commit in zip(trees, commits, strict=True):
                git("worktree", "add", "--quiet", "--detach", str(tree), commit)
            with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
                folders = [home / "results" / str(i) for i in range(len(cases))]
                work = [
                    pool.submit(compare, trees, home / "code", overrides, folder)
                    for overrides, folder in zip(cases.values(), folders, strict=True)
                ]
                for case, future in zip(cases, work, strict=True):
                    count, found = future.result()
                    rows.append({"case": case, "runs": count, "differences": found})
                    print(
                        f"{case:22} {count:3}  {'the same' if not found else f'{len(found)} differences'}", flush=True
                    )
                    print(*(f"    {line}" for line in found[:5]), sep="\n", end="\n" if found else "")
        finally:
            for tree in trees:
                if tree.exists():
                    git("worktree", "remove", "--force", str(tree))
    return rows


def main() -> None:
    """Compare, print a line for each case, and exit with 1 if anything differs."""
    sys.path.insert(0, str(ROOT))
    from tests.pins.cases import BITS, HISTORIES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a commit")
    parser.add_argument("new", help="another")
    parser.add_argument("--all", action="store_true", help="every pinned history, and not only one of each kind")
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args()
    commits = [git("rev-parse", "--verify", f"{name}^{{commit}}") for name in (options.old, options.new)]
    cases = {name: HISTORIES[name] for name in (HISTORIES if options.all else BITS)}
    print(f"{'case':22} runs {commits[0][:12]} → {commits[1][:12]}")
    rows = table(commits, cases, (ROOT / "tests" / "data" / "pins" / "pinned_code.txt").read_bytes())
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    different = sum(bool(row["differences"]) for row in rows)
    print(f"{different} of {len(rows)} cases differ." if different else f"All {len(rows)} cases are the same.")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()

"""Train the sweep of every system and its replication, judge both, and write docs/atlas.md.

python benchmarks/atlas.py [NAME …] [--jobs N] [--only-draw]

Runs that are done are not trained again, so an atlas that was interrupted goes on when the command is repeated.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gallery import law_table
from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.study.laws import source
from feature_lazy.systems.table import LAPTOP, REPLICATION, Sweep, System, find, systems

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "atlas.md"
PICTURES = ROOT / "docs" / "atlas"
RECORD = PICTURES / "atlas.json"
"""What was measured, by system; the page is written from it."""
LEGEND = 1.4
"""Width of a picture with names of lines beside its panel over that of one without."""
HEAD = """# Atlas of the systems

Claims of the literature on wide networks, each as a law with its expected value, measured on a sweep of minutes, and
once more with other seeds and another split of the data. `make atlas` trains what is missing and writes this page;
`feature-lazy reproduce NAME` does it for one, `size=paper` at the paper's own size.
±: 95 % over seeds. One law in twenty differs by chance: one that differs has to do so in both to mean something.
A percentage beside an expected value is how far finite widths may be from it, stated before the measurement.
"""


def train(sweep: Sweep, jobs: int) -> float:
    """Seconds of a sweep.

    Raises:
        CalledProcessError: a job failed; the sweep has said which.
    """
    began = time.perf_counter()
    for _, words in sweep.stages(sweep.folder):
        more = [f"hydra.launcher.n_jobs={jobs}"]
        subprocess.run([sys.executable, "train.py", "-m", *words, *more], cwd=ROOT, check=True)
    return time.perf_counter() - began


def measured(system: System) -> dict[str, Any]:
    """What the laws say of both sweeps, after the first is drawn."""
    from feature_lazy.systems.reproduce import judge

    draw(system)
    columns = ("name", "expected", "measured", "verdict")
    return {
        name: [
            {"where": source(row)} | {column: getattr(row, column) for column in columns}
            for row in judge(system, ROOT / Sweep(system, replication=name == REPLICATION).folder)
        ]
        for name in (LAPTOP, REPLICATION)
    }


def draw(system: System) -> None:
    """The picture of a system, from its small sweep."""
    import matplotlib.pyplot as plt

    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.figures.axes import tidy
    from feature_lazy.study.figures.style import STYLE, legend
    from feature_lazy.study.table import with_runs

    claim = importlib.import_module(f"feature_lazy.systems.{system.folder}.claim")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots()
        claim.draw(axes, with_runs(load_sweep(ROOT / Sweep(system).folder)))
        tidy(axes.xaxis)
        tidy(axes.yaxis)
        if (inside := axes.get_legend()) is not None:  # outside the data, as in all figures
            inside.remove()
            figure.set_figwidth(LEGEND * figure.get_figwidth())
            legend(figure, title=inside.get_title().get_text())
        PICTURES.mkdir(parents=True, exist_ok=True)
        figure.savefig(PICTURES / f"{system.folder}.png", dpi=120)
        plt.close(figure)


def verdict(entry: dict[str, Any] | None) -> str:
    """Verdict on a system: that of its laws, if all laws of both sweeps have the same."""
    found = {row["verdict"] for rows in (entry or {}).values() for row in rows}
    return found.pop() if len(found) == 1 else "see there" if found else "not measured"


def table(record: dict[str, Any]) -> str:
    """All systems as Markdown: a row each, its name leading to its section."""
    lines = ["| system | paper | claim | measured here |", "|---|---|---|---|"]
    for one in systems():
        paper = f"[{one.paper}](https://arxiv.org/abs/{one.paper})"
        words = [
            f"[{one.folder}](#{one.folder})",
            paper,
            one.claim,
            verdict(record.get(one.folder)) if one.laws else one.state,
        ]
        lines.append("| " + " | ".join(word.replace("|", "\\|") for word in words) + " |")
    return "\n".join(lines) + "\n"


def page(record: dict[str, Any]) -> str:
    """The atlas as Markdown."""
    sections = [HEAD, table(record)]
    for one in systems():
        lines = [
            f"## {one.folder}",
            f"[arXiv:{one.paper}](https://arxiv.org/abs/{one.paper}), {one.state}. {one.claim}",
        ]
        if one.folder in record:
            lines.append(f"![{one.claim}](atlas/{one.folder}.png)")
            for name, rows in record[one.folder].items() if one.laws else ():
                lines += [f"*{name.capitalize()}*", law_table(rows)]
        lines += [one.note] if one.note else []
        lines.append(f"```sh\n{one.command}  # {one.seconds:.0f} s of one core\n```")
        sections.append("\n\n".join(lines))
    return "\n\n".join(section.strip() for section in sections) + "\n"


def load() -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def write(record: dict[str, Any]) -> None:
    """The record and the page."""
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(record), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="systems; all if omitted")
    parser.add_argument("--jobs", type=int, default=0, help="processes of a sweep; 0: one for each core")
    parser.add_argument("--only-draw", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    try:
        chosen = [find(name) for name in options.names] or systems()
    except FeatureLazyError as error:
        parser.error(str(error))
    for system in chosen:
        for replication in (False, True) if not options.only_draw else ():
            seconds = train(Sweep(system, replication=replication), options.jobs)
            print(f"{system.folder}: {seconds:.0f} s")
        found = {system.folder: measured(system)}  # first: another process may write the record meanwhile
        write(load() | found)
    print(PAGE)


if __name__ == "__main__":
    main()

"""Train every small sweep of the article that is not done, draw its figures, and write docs/gallery.md.

python benchmarks/gallery.py [NAME …] [--jobs N] [--only-draw]

Runs that are done are not trained again, so a gallery that was interrupted goes on when the command is repeated.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from analysis.figures.registry import ARTICLE, SHOWN, draw_article, readings
from analysis.figures.source import open_runs
from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.study.laws import source
from feature_lazy.study.table import H, kinds

ROOT = Path(__file__).parent.parent
SWEEPS = ROOT / "conf" / "experiment" / "article" / "small"
RESULTS = Path("results/small")
DOCS = Path("docs/gallery")
RECORD = DOCS / "gallery.json"
"""What was measured, by figure; the page is written from it."""
FOLDERS = {"fig1": ("fig3",), "fig4": ("fig3", "fig4a"), "fig5": ("fig3",), "fig9": ("fig3",), "fig10": ("fig3",)}
"""Results folders of figures that do not have one of their own."""
HEAD = """# Gallery

Every figure and table of the article at small size, as measured here. `make gallery` trains what is missing and writes
this page; `experiment=article/NAME` without `size=small` is the article's own size. The data are in the packages:
scikit-learn's digits, 5000 digits of MNIST and MNIST-1D stand for Fashion-MNIST, MNIST and CIFAR10. P is 24 to 400, so
differences from the article may be of size as well as of substance: each is named. Seconds are of two cores that did
other work beside.
"""

LAWS_HEAD = """## The laws

Below each figure stand the laws that it shows, judged as `feature-lazy laws` judges them.
±: 95 % over seeds; one law in twenty differs by chance. An exponent of the article's heuristics (2L/(L + 1), 1/(L + 1))
may be off by 20 %, as it is in the article. Widths below the least of the article's own sweep are left out: they show
what is beyond leading order in 1/h, as h = 30 does, whose kernel changes by 40 to 50 % more than that of h = 100 at
√hα ≤ 0.1. "Assumed" regimes are those of sweeps in which no kernel change was measured.

**Deep in the lazy regime the kernel change falls as h^(−½) at fixed √hα**, and is the same for all h at the boundary.
To first order in 1/α each neuron's share has the sign of its last weight, and shares add up to 1/√h of their number
(O₃ ~ 1/h: Dyer and Gur-Ari, arXiv:1909.11304); to second order all have one sign. So the change goes as
A/(hα) + B/(√hα)²: the second term makes it 1 at one √hα for every h, the first gives the exponent −1 far above, from
√hα ~ √h·B/A on. The law of the width is judged from ten times that on, the collapse of its curves up to ten times the
boundary. Digits, P = 60, L = 3, h = 32, 128 and 512, six seeds: −0.516 ± 0.122 over √hα ≥ 500, expected −½. In the
authors' code it falls with h, too: 3.3e-4 at h = 30, 2.2e-4 at h = 100.
"""


def sweeps_of(name: str) -> dict[str, list[str]]:
    """Results folder → small experiments that fill it, for a figure."""
    folders = {f: list[str]() for f in FOLDERS.get(name, (name,))}
    for path in sorted(SWEEPS.glob("*.yaml")):
        output = yaml.safe_load(path.read_text(encoding="utf-8")).get("output_dir", "")
        if (folder := Path(output).name) in folders and output:
            folders[folder].append(path.stem)
    return {folder: names for folder, names in folders.items() if names}


def train(experiment: str, jobs: int) -> float:
    """Seconds of one small sweep, with what it prints.

    Raises:
        CalledProcessError: a job failed; the sweep has said which.
    """
    began = time.perf_counter()
    command = [sys.executable, "train.py", f"experiment=article/{experiment}", "size=small"]
    subprocess.run([*command, f"hydra.launcher.n_jobs={jobs}"], cwd=ROOT, check=True)
    return time.perf_counter() - began


def measured(name: str) -> dict:
    """Draw one figure, and what is seen in it."""
    folders = [ROOT / RESULTS / folder for folder in sweeps_of(name)]
    written, notes = draw_article(name, folders, ROOT / RESULTS / "figures", ["png"])
    (ROOT / DOCS).mkdir(parents=True, exist_ok=True)
    for path in written:
        if path.suffix == ".png":
            shutil.copy(path, ROOT / DOCS / path.name)
    says, laws = SHOWN[name]
    return {"says": says, "laws": laws_of(name, folders) if laws else [], "notes": notes}


def least_width(name: str) -> int:
    """Least width of the article's own sweep; 0 where it asks for one width."""
    sweep = yaml.safe_load((SWEEPS.parent / f"{name}.yaml").read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
    return min((int(h) for h in str(sweep.get("width.h", 0)).split(",")), default=0)


def laws_of(name: str, folders: Sequence[Path]) -> list[dict[str, str]]:
    """The laws that a figure shows that could be measured, as the court has them."""
    table = open_runs(folders).table
    table = table[table[H] >= least_width(folders[0].name)]
    columns = ("name", "expected", "measured", "verdict")
    return [
        {"where": source(row)} | {column: getattr(row, column) for column in columns}
        for row in readings(name, kinds(table, ("L", "P")))
        if row.estimate is not None
    ]


def law_table(rows: Sequence[dict[str, str]]) -> str:
    """Laws as Markdown."""
    head = ("law", "where", "expected", "measured", "verdict")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        values = [row["name"], *(row[name] for name in head[1:])]
        lines.append("| " + " | ".join(value.replace("|", "\\|") for value in values) + " |")
    return "\n".join(lines)


def page(record: dict[str, dict], times: dict[str, float]) -> str:
    """The gallery as Markdown."""
    left = [_title(name) for name in ARTICLE if name not in record]
    sections = [HEAD, f"Not measured so far: {', '.join(left)}."] if left else [HEAD]
    sections.append(LAWS_HEAD)
    for name in (name for name in ARTICLE if name in record):
        entry = record[name]
        folders = sweeps_of(name)
        commands = [
            f"python train.py experiment=article/{experiment} size=small  # {_seconds(times.get(experiment))}"
            for experiments in folders.values()
            for experiment in experiments
        ]
        target = " ".join(str(RESULTS / folder) for folder in folders) or f"--output {RESULTS / 'figures'}"
        commands.append(f"python -m analysis figure {name} {target}")
        title = _title(name)
        lines = [f"## {title}", f"![{title}](gallery/{name}.png)", f"The article: {entry['says']}"]
        lines.append(law_table(entry["laws"]) if entry["laws"] else "No law of this figure can be judged at this size.")
        lines += [f"*{note}*" for note in entry["notes"]]
        sections.append("\n\n".join([*lines, "```sh\n" + "\n".join(commands) + "\n```"]))
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _title(name: str) -> str:
    return name.replace("fig", "Figure ").replace("table", "Table ")


def _seconds(value: float | None) -> str:
    return f"{value:.0f} s here" if value else "not timed"


def _complete() -> int:
    """Complete runs of all small sweeps."""
    return sum(1 for _ in (ROOT / RESULTS).glob("*/runs/*/done"))


def _load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(ARTICLE), help="figures and tables; all if omitted")
    parser.add_argument("--jobs", type=int, default=0, help="processes of a sweep; 0: one for each core")
    parser.add_argument("--only-draw", action="store_true", help="train nothing")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(ARTICLE):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ARTICLE)}")
    known, stamp = _load(ROOT / RECORD), ROOT / RESULTS / "seconds.json"
    record = {name: entry for name, entry in known.items() if "laws" in entry}  # others are of an older page
    times = _load(stamp)
    done: set[str] = set()
    for name in options.names:
        for experiment in (e for names in sweeps_of(name).values() for e in names if e not in done):
            if options.only_draw:
                continue
            before = _complete()
            seconds = train(experiment, options.jobs)
            if _complete() > before:  # of a sweep that goes on, all parts count; one that was done has no time
                times[experiment] = times.get(experiment, 0.0) + seconds
                stamp.write_text(json.dumps(times, indent=1), encoding="utf-8")
            done.add(experiment)
            print(f"{experiment}: {seconds:.0f} s", flush=True)
        try:
            record[name] = measured(name)
        except FeatureLazyError as error:
            print(f"{name}: {error}")
            continue
        (ROOT / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (ROOT / DOCS.with_suffix(".md")).write_text(page(record, times), encoding="utf-8")
    print(f"Written: {DOCS.with_suffix('.md')}")


if __name__ == "__main__":
    main()

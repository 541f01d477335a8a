"""How the runs of a sweep were made and what they show, as Markdown, from the stored runs."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from feature_lazy.core.words import counted
from feature_lazy.measure.quantity import Quantity
from feature_lazy.runs.reading import Run
from feature_lazy.study.labels import others, quantities
from feature_lazy.study.laws import laws, source
from feature_lazy.study.table import SETTING, H, X, read


def describe(folder: Path) -> tuple[str, dict[str, Quantity]]:
    """Grid, outcomes, source, versions, machines and dates of a results folder, and the laws measured from it.

    Returns:
        The text, and the observables over time that only these runs know.

    Raises:
        StoreError: no complete run, a damaged one, or runs that one figure cannot show together.
    """
    table = read(folder)
    runs: list[Run] = list(table["run"])
    facts = [(name, table[name].iloc[0]) for name in SETTING if name in table]
    rows = [*_sweep(table), *((name, str(value)) for name, value in facts if pd.notna(value)), *_making(runs)]
    text = _table(("sweep", "what it is"), rows)
    measured = [(row.name, source(row), row.expected, row.measured, row.verdict) for row in laws(table)]
    head = ("law", "where", "expected", "measured", "verdict")
    names = dict.fromkeys(name for run in runs for name in run.history)
    return f"{text}\n\n{_table(head, measured)}" if measured else text, others(names, quantities(runs))


def _sweep(table: pd.DataFrame) -> list[tuple[str, str]]:
    x = table[X]
    return [
        ("runs", f"{len(table)}: {_counted(table['outcome'])}"),
        ("h", _listed(sorted(table[H].unique()))),
        ("√h·α", f"{counted(x.nunique(), 'value')}, {x.min():g} … {x.max():g}"),
        ("seeds", str(table["seed"].nunique())),
    ]


def _making(runs: list[Run]) -> list[tuple[str, str]]:
    """Sources, versions, devices, hosts and dates; a run has a segment for each process that trained it."""
    made = [run.provenance for run in runs]
    segments = [segment for one in made for segment in one.get("segments", [])]
    sources = [one.get("git", {}) for one in made]
    revisions = {s["revision"] + (", modified" if s.get("modified") else "") for s in sources if "revision" in s}
    versions = {f"{name} {version}" for one in made for name, version in one.get("versions", {}).items()}
    dates = sorted(segment[key] for segment in segments for key in ("started", "ended") if key in segment)
    rows = [
        ("source", _listed(sorted(revisions))),
        ("versions", _listed(sorted(versions))),
        ("devices", _listed(sorted({f"{d['type']} {d['name']}" for one in made if (d := one.get("device"))}))),
        ("hosts", _listed(sorted({segment["host"] for segment in segments}))),
        ("trained", " … ".join(dict.fromkeys([*dates[:1], *dates[-1:]]))),
    ]
    return [(name, value) for name, value in rows if value]


def _counted(values: pd.Series) -> str:
    return _listed(f"{count} {name}" for name, count in values.value_counts().sort_index().items())


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

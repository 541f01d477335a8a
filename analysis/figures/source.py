"""The runs that a figure of the article is drawn from: of one folder or several, and of several kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.words import counted
from feature_lazy.runs.plan import read_plans
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.study.following import Config, followed
from feature_lazy.study.table import H, X, with_runs

KIND = (
    "dataset",
    "labels",
    "P",
    "architecture",
    "own",
    "parametrisation",
    "L",
    "activation",
    "loss",
    "beta",
    "bias",
    "centred",
    "dynamics",
    "frozen",
    "eps_gradient",
)
"""Columns that tell kinds of runs apart; within a kind runs differ by h, √h·α and seed."""
FLOWS = ("gradient_flow", "momentum_flow")


@dataclass(frozen=True)
class Source:
    """Complete runs of some results folders as one table, and what is missing there.

    Attributes:
        folders: where from.
        table: as of ``Sweep.table``, with the run itself, ``kernel_change`` and the columns of ``KIND``.
        notes: what was planned and is not complete, a sentence for each folder.
    """

    folders: tuple[Path, ...]
    table: pd.DataFrame
    notes: tuple[str, ...]


def open_runs(folders: Sequence[Path]) -> Source:
    """Read results folders; a run that several have counts once.

    Raises:
        StoreError: no complete run in a folder, or a damaged one.
    """
    tables, notes = [], []
    for folder in folders:
        try:
            sweep = load_sweep(folder)
        except StoreError as error:
            unfinished = _unfinished(folder, set())
            raise StoreError(" ".join([str(error), *unfinished])) from error
        tables.append(with_runs(sweep))
        notes += _unfinished(folder, {run.run_id for run in sweep.runs})
    table = pd.concat(tables, ignore_index=True).drop_duplicates("run_id")
    configs = followed([run.config for run in table["run"]])
    facts = [_facts(run, config) for run, config in zip(table["run"], configs, strict=True)]
    table = pd.concat([table, pd.DataFrame(facts, index=table.index)], axis=1)
    # Two sweeps may share cells and observe them differently: of such the one with the kernel is shown.
    table = table.sort_values("kernel_change", na_position="last", kind="stable")
    table = table.drop_duplicates([*(c for c in KIND if c in table), H, X, "seed"]).sort_values([H, X, "seed"])
    return Source(tuple(folders), table, tuple(notes))


def _facts(run: Run, config: Config) -> dict[str, object]:
    """What tells kinds of runs apart beside the columns that a run has."""
    dynamics = config.get("dynamics", {})
    kernel = config.get("observe", {}).get("kernel", {})
    frozen = dynamics.get("at", "") if run.columns.get("dynamics") == "frozen_kernel" else ""
    return {
        "own": _own_code(config),
        "beta": config.get("loss", {}).get("beta", 0.0),
        "bias": config.get("architecture", {}).get("bias", 0.0),
        "centred": config.get("centred", True),
        "frozen": frozen,
        "matrices": bool(kernel.get("matrices")),
        "eps_gradient": dynamics.get("eps_gradient", 0.0) if dynamics.get("stepper") == "article" else 0.0,
    }


def _own_code(config: Config) -> str:
    """Targets of the user's own with their arguments, such as ``mynet.Net(d=3, width=${width.h})``."""
    chosen = [one for one in config.values() if isinstance(one, dict) and one.get("target")]
    arguments = [", ".join(f"{key}={value}" for key, value in one.get("kwargs", {}).items()) for one in chosen]
    return "; ".join(f"{one['target']}({given})" for one, given in zip(chosen, arguments, strict=True))


def _unfinished(folder: Path, complete: set[str]) -> list[str]:
    """A sentence on the runs that were asked for in a folder and are not complete; nothing if there are none."""
    planned = {run.run_id: run.columns for job in read_plans(folder)[0] for run in job.runs}
    missing = [columns for run_id, columns in planned.items() if run_id not in complete]
    if not missing:
        return []
    by_width: dict[int, set[float]] = {}
    for columns in missing:
        by_width.setdefault(columns[H], set()).add(columns[X])
    where = "; ".join(f"h = {h}: √hα = {_span(sorted(xs))}" for h, xs in sorted(by_width.items()))
    return [f"Missing in {folder.name}: {len(missing)} of {len(planned)} planned runs ({where})."]


def _span(values: Sequence[float]) -> str:
    return ", ".join(f"{v:g}" for v in values) if len(values) < 4 else f"{values[0]:g} … {values[-1]:g}"


def one_kind(table: pd.DataFrame, vary: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """The runs of the kind with most runs, and a sentence on the others that the panel cannot show with them.

    Args:
        table: runs.
        vary: columns of ``KIND`` in which a panel may hold several values.
    """
    columns = [c for c in KIND if c in table and c not in vary and table[c].nunique(dropna=False) > 1]
    if not columns or not len(table):
        return table, []
    kinds = [(key, group) for key, group in table.groupby(columns, dropna=False)]
    key, chosen = max(kinds, key=lambda kind: len(kind[1]))
    shown = ", ".join(f"{c} = {v}" for c, v in zip(columns, key, strict=True))
    rest = len(table) - len(chosen)
    return chosen, [f"Shown: {shown}; left out: {counted(rest, 'run')} that differ in {', '.join(columns)}."]


def flows(table: pd.DataFrame) -> pd.DataFrame:
    """Runs of networks trained by a flow."""
    return table[table["dynamics"].isin(FLOWS)]


def frozen(table: pd.DataFrame, at: str) -> pd.DataFrame:
    """Runs under the kernel frozen at a moment."""
    return table[table["frozen"] == at]

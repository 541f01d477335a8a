"""A sweep as the figures want it: one table, means over seeds, and curves over time."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.fingerprints import shared_names
from feature_lazy.core.words import meant
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import Sweep, load_sweep
from feature_lazy.study.ensembles import Ensemble, margins
from feature_lazy.study.filters import filtered
from feature_lazy.study.following import followed
from feature_lazy.study.law import AXES

__all__ = [
    "CELL",
    "LIMIT",
    "SETTING",
    "H",
    "X",
    "along",
    "differences",
    "ensemble",
    "ensembles",
    "fitted",
    "margins",
    "over_seeds",
    "parts",
    "read",
    "whole",
]

X, H = "sqrt_h_alpha", "h"
SETTING = ("dataset", "labels", "P", "architecture", "parametrisation", "L", "activation", "loss", "dynamics")
"""Columns that must be the same in all runs of one figure."""
BETWEEN = re.compile(r", (?=[\w.]+ = )")
"""Between two settings in the name of a kind of runs; a value may be a list."""
CELL = [H, X, "seed"]
"""Columns that tell the runs of one kind apart."""
LIMIT = "infinite_width/error"
"""Test error of the infinitely wide lazy network, the same in all rows; NaN or no column where there is none."""
CONTENT = "dataset.content"
ASKED = (*SETTING, "t_half", "t_stop", "gradients", "test/error", "weights/change")
"""Columns that figures, laws and reports ask for: there, if without a value, also where no run has them."""
GRID = AXES
"""Groups of the configuration that may differ from run to run of one figure."""


def read(folder: Path | str, *, mixed: Sequence[str] = (), where: Sequence[str] = ()) -> pd.DataFrame:
    """The complete runs of a results folder, with ``kernel_change`` as the best kernel change that they have.

    That is the change on the whole test set where it was measured, else on the probe set.

    Args:
        folder: results folder.
        mixed: what may differ besides α, width and seed: columns such as ``L``, or keys such as ``architecture.bias``.
        where: rules that runs pass, see ``filtered``.

    Raises:
        StoreError: no complete run, none that passes, or runs of several data sets or networks that one figure cannot
            show.
    """
    table = filtered(_read(folder), where)
    for name, values in differences(table).items():
        if name not in mixed:
            few = ", ".join(map(str, values))
            raise StoreError(f"{folder} mixes runs with {name} = {few}; figures need one: --where {name}={values[0]}.")
    return table


def parts(folder: Path | str, *, mixed: Sequence[str] = (), where: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """The tables that ``read`` would have given of each part of a mixed folder, by what tells them apart.

    Args:
        folder: results folder.
        mixed: what may differ within a part besides α, width and seed, as in ``read``.
        where: rules that runs pass, see ``filtered``.

    Returns:
        Such as ``{"P = 20, L = 2": table}``; one table without a name if nothing does.

    Raises:
        StoreError: no complete run, or none that passes.
    """
    return kinds(filtered(_read(folder), where), mixed)


def kinds(table: pd.DataFrame, mixed: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """As ``parts``, of runs that are read; in the order of their values, whatever order the runs have on disk."""
    found = {name: values for name, values in differences(table).items() if name not in mixed}
    if not found:
        return {"": table}
    rows = _settings(table)[list(found)].to_dict("records")
    # A key that an option does not have is no part of its runs' name.
    labels = [", ".join(f"{name} = {value}" for name, value in row.items() if pd.notna(value)) for row in rows]
    groups = pd.Series([label or "otherwise" for label in labels], index=table.index)
    places = [[found[n].index(value) if pd.notna(value) else len(found[n]) for n, value in row.items()] for row in rows]
    in_order = dict.fromkeys(label for _, label in sorted(zip(places, groups, strict=True)))
    tables = dict(iter(table.groupby(groups, sort=False)))
    return {label: tables[label] for label in in_order}


def in_common(names: Sequence[str]) -> str:
    """The settings that all of some names of ``kinds`` have, as such a name."""
    settings = [BETWEEN.split(name) for name in names]
    return ", ".join(one for one in settings[0] if all(one in others for others in settings))


def differences(table: pd.DataFrame) -> dict[str, list]:
    """What is not the same in all runs, besides α, width, seed and what is observed: name → its values.

    Columns, and keys of the configuration that differ among runs whose columns are equal: of a mixture of two data sets
    the name is enough.
    """
    settings = _settings(table)
    columns = [name for name in SETTING if name in settings and settings[name].nunique() > 1]
    keys = [name for name in settings if name not in SETTING]
    found = columns + [key for key in keys if _differs(settings, key, columns)]
    known = {name: settings[name].dropna() for name in found}
    return {
        name: [*sorted(v.unique(), key=_order), *(["not set"] if len(v) < len(settings) else [])]
        for name, v in known.items()
    }


def _order(value: object) -> tuple[bool, Any]:
    """Numbers by size, then texts; of a stranger's runs one key may have both."""
    return (isinstance(value, str), value)


def _differs(settings: pd.DataFrame, key: str, columns: list[str]) -> bool:
    # A key that some runs do not have differs too: centred=false is stored, and centred=true is not.
    values = settings[key].astype(object).where(settings[key].notna(), None).astype(str)
    if values.nunique(dropna=False) < 2:
        return False
    groups = values.groupby([settings[name] for name in columns]) if columns else None
    return groups is None or bool((groups.nunique(dropna=False) > 1).any())


def _settings(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of ``SETTING``, and the configuration outside of ``GRID`` as ``group.key``; lists as text."""
    configs = of_kind(list(table["run"]))
    keys = pd.json_normalize(configs).set_index(table.index)
    keys = keys.apply(lambda column: column.astype(str) if column.map(type).isin((list, dict)).any() else column)
    keys[CONTENT] = _contents(table["run"])
    return table[[name for name in SETTING if name in table]].join(keys)


def _contents(runs: pd.Series) -> pd.Series:
    """Fingerprints of data that should be the same and are not; None where there is nothing to tell apart."""
    data = [{k: v for k, v in run.config.get("dataset", {}).items() if k != "content"} for run in runs]
    made = [repr((one, run.config.get("labels"))) for one, run in zip(data, runs, strict=True)]
    found = pd.Series([run.inputs.get("data") for run in runs], index=runs.index, dtype=object)
    found = found.map(shared_names(found.dropna()), na_action="ignore")
    several = found.groupby(made).transform("nunique") > 1
    return found.where(several, None)


def of_kind(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The configurations of runs outside of ``GRID``, and how they start: what runs of one kind have in common.

    Keys that follow α, width or seed are written as what they follow.
    """
    configs = followed([run.config for run in runs])
    return [
        {k: v for k, v in config.items() if k not in GRID} | _start(run)
        for run, config in zip(runs, configs, strict=True)
    ]


def _start(run: Run) -> dict[str, dict[str, str]]:
    """How a run starts, beside its seed: nothing of one that starts from random weights."""
    seed = run.config.get("seed", {})
    return {"seed": {name: seed[name] for name in ("kind", "at", "head")}} if seed.get("kind") == "from_run" else {}


def _read(folder: Path | str) -> pd.DataFrame:
    return with_runs(load_sweep(folder))


def with_runs(sweep: Sweep) -> pd.DataFrame:
    """The table of a sweep with each ``run`` itself, ``kernel_change``, and NaN for what of ``ASKED`` no run has."""
    table = sweep.table.assign(run=list(sweep.runs))
    table = table.assign(kernel_change=_best_kernel_change(table))
    return table.assign(**dict.fromkeys((name for name in ASKED if name not in table), np.nan))


def by_seed(sweep: Sweep) -> Iterator[tuple[str, pd.DataFrame]]:
    """Runs of a sweep that differ in their seed alone, with what a person calls them."""
    for kind, part in kinds(with_runs(sweep)).items():
        for _, group in part.groupby([H, X]):
            h, x = group[[H, X]].iloc[0]
            yield ", ".join(filter(None, [kind, f"h = {h:g}", f"√h·α = {x:.3g}"])), group


def _best_kernel_change(table: pd.DataFrame) -> pd.Series:
    """The kernel change on the whole test set where it was measured, else on the probe set; else NaN."""
    candidates = [c for c in ("kernel/change_test", "kernel/change") if c in table]
    return table[candidates].bfill(axis=1).iloc[:, 0] if candidates else pd.Series(np.nan, table.index)


def no_column(name: str, known: Iterable[str]) -> str:
    """What is said of a column that no run has, with names that are near it."""
    return f"No run has the column {name}.{meant(name, known)}"


def along(table: pd.DataFrame, column: str, pick: Callable[[np.ndarray], float]) -> pd.Series:
    """A number of each run's course, such as the largest of a column over time; NaN where it has no value of it.

    Raises:
        StoreError: no run has recorded such a column.
    """
    recorded = {name for run in table["run"] for name in run.history}
    if recorded and column not in recorded and column not in table:
        raise StoreError(no_column(column, {*recorded, *table}))
    curves = [run.history.get(column, np.array([])) for run in table["run"]]
    known = [curve[np.isfinite(curve)] for curve in curves]
    return pd.Series([float(pick(curve)) if len(curve) else np.nan for curve in known], table.index, dtype=float)


def fitted(table: pd.DataFrame, unfit: float = 0.0) -> tuple[pd.DataFrame, list[str]]:
    """The runs that fit their training set, and a sentence on those that do not.

    Args:
        table: runs.
        unfit: fraction of training patterns with a margin below 1 up to which a run that did not converge is kept.
    """
    share = table["train/unfit"] / table["P"] if "train/unfit" in table else pd.Series(0.0, table.index)
    # Unknown is not small: a run that ended in NaN has no share.
    keep = (table["outcome"] == "converged") | ((share <= unfit) & (unfit > 0))
    if keep.all():
        return table, []
    outcomes = ", ".join(f"{n} {name}" for name, n in table[~keep]["outcome"].value_counts().items())
    what = f"with more than {unfit:.0%} of the patterns unfit" if unfit else "that did not fit their training set"
    return table[keep], [f"Left out: {int((~keep).sum())} of {len(keep)} runs {what} ({outcomes})."]


def whole(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The runs with a value of a column in cells of h and √h·α where all seeds have one, of which means are alike.

    Without them a mean over cells of one seed is of other cells than that of another, and differs by what cells do.
    """
    known = table[np.isfinite(table[column].astype(float))]
    return known[known.groupby([H, X])["seed"].transform("nunique") == known["seed"].nunique()]


def over_seeds(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, standard error and number of seeds of a column, for each h and √h·α, with its α; only runs with a value.

    One seed has no standard error: it is NaN.
    """
    grouped = table.dropna(subset=[column]).groupby([H, X])[column]
    result = grouped.agg(mean="mean", sem="sem", n="count").reset_index()
    return _with_alpha(result, table)


def _with_alpha(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of h and √h·α with their α, which is that of the runs: h in √h·α need not be the column ``h``."""
    known = {H, X} <= {*rows} and "alpha" in table
    return rows.join(table.groupby([H, X])["alpha"].first(), on=[H, X]) if known else rows


def ensembles(table: pd.DataFrame) -> list[Ensemble]:
    """The predictors of each h and √h·α with at least two seeds, in order of h and √h·α."""
    groups = ((h, x, group["run"].tolist()) for (h, x), group in table.groupby([H, X]))
    return [one for h, x, runs in groups if (one := Ensemble.of(h, x, runs)) is not None]


def ensemble(table: pd.DataFrame) -> pd.DataFrame:
    """Ensemble statistics from the stored predictors, for each h and √h·α with at least two seeds (eqs. 15–16).

    Returns:
        Columns ``n``, ``variance`` = mean over the test set, and over outputs, of Σ(Fᵢ − F̄)²/(n − 1), ``error`` = error
        of F̄, and ``single`` = mean error of one network, with ``single_sem`` its standard error.
    """
    rows = [
        {
            H: one.h,
            X: one.x,
            "n": len(one.seeds),
            "variance": one.variance,
            "error": one.error,
            "single": one.singles.mean(),
            "single_sem": one.singles.std(ddof=1) / np.sqrt(len(one.seeds)),
        }
        for one in ensembles(table)
    ]
    return _with_alpha(pd.DataFrame(rows), table)

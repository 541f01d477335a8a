"""A results folder as one table and labelled arrays; histories and outputs are read when they are asked for."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_lazy.core.errors import StoreError
from feature_lazy.core.matching import matches
from feature_lazy.core.redaction import clean
from feature_lazy.core.shown import span
from feature_lazy.core.shown import table as html_table
from feature_lazy.core.words import counted, meant
from feature_lazy.runs.reading import FIGURES, MisnamedRunError, Run, is_done, load_run
from feature_lazy.settings.registry import options

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)
KEYS = ("h", "sqrt_h_alpha", "seed")
"""What the runs of a sweep are sorted by."""
SHOWN = (*KEYS, "outcome", "test/error", "kernel/change")
"""What a notebook shows of each run."""


def as_written(runs: Iterable[Run], name: str, wanted: Iterable[Any]) -> str:
    """A sentence where not a column but its key has what is wanted, such as alpha.value, which is √h·α by default."""
    key = f"{name}.value"
    has = any(matches(run.setting(key), one) for run in runs for one in wanted)
    return f" {key}, as it is written in a configuration, has it." if has else ""


@dataclass(frozen=True)
class Sweep:
    """The complete runs of a results folder, in order of h, √h·α and seed.

    Attributes:
        root: the folder.
        runs: complete runs.
    """

    root: Path
    runs: Sequence[Run]

    def __len__(self) -> int:
        """Number of runs."""
        return len(self.runs)

    def __getitem__(self, key: int | str) -> Run:
        """A run: by its place, or by its id, of which the beginning is enough.

        Raises:
            IndexError: no such place.
            StoreError: no run's id begins so, or several do.
        """
        if isinstance(key, int):
            if not -len(self.runs) <= key < len(self.runs):
                raise IndexError(f"sweep[{key}]: {self.root} has {counted(len(self.runs), 'complete run')}.")
            return self.runs[key]
        found = [run for run in self.runs if run.run_id.startswith(key)] if key else []
        if len(found) != 1:
            what = counted(len(found), "run") if found else "no run"
            raise StoreError(f"sweep[{key!r}]: {what} of {self.root} begins so; sweep.table has the column run_id.")
        return found[0]

    def __repr__(self) -> str:
        """One line."""
        outcomes = Counter(str(run.summary.get("outcome")) for run in self.runs)
        parts = [
            *(f"{name} = {span(run.columns.get(name) for run in self.runs)}" for name in KEYS),
            ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common(4)),
        ]
        return clean(f"Sweep {self.root}: {counted(len(self.runs), 'run')}; {'; '.join(parts)}")

    def _repr_html_(self) -> str:
        """A short table, for notebooks."""
        return html_table(repr(self), ["run", *SHOWN], [[r.run_id, *map(r.value, SHOWN)] for r in self.runs])

    def select(self, **wanted: Any) -> "Sweep":
        """The runs with some values, such as ``select(h=100, seed=[0, 1])``.

        Names are columns of ``table`` or keys of the configuration; those that are no names of Python are given as
        ``select(**{"dynamics.lr": 0.1})``. Numbers are equal to nine digits.

        Raises:
            StoreError: a name that no run has, or values that none has.
        """
        runs = list(self.runs)
        for name, values in wanted.items():
            there = list(dict.fromkeys(str(run.value(name)) for run in runs if run.value(name) is not None))
            if not there:
                hint = meant(name, dict.fromkeys([*self.runs[0].columns, *self.runs[0].summary]))
                raise StoreError(f"select: no run has {name!r}, a column or a key of the configuration.{hint}")
            options = values if isinstance(values, list | tuple | set | range | np.ndarray) else [values]
            runs = [run for run in runs if any(matches(run.value(name), one) for one in options)]
            if not runs:
                hint = as_written(self.runs, name, options)
                raise StoreError(f"select: no run has {name} = {values}; there are {', '.join(there[:12])}.{hint}")
        return Sweep(self.root, runs)

    def plot(self, y: str = "test/error", x: str = "sqrt_h_alpha", **options: Any) -> "Figure":
        """Any column against any other, as ``feature-lazy plot`` draws it.

        Args:
            y: a column of ``table``.
            x: another, a key of the configuration, or ``t`` for curves over time.
            options: ``by``, a column or several that make a line each (default: what else differs); ``where``, such as
                ``{"L": 3, "seed": [0, 1]}`` or the command's rules, ``"L=3"``; ``log``, ``"x"``, ``"y"``, ``"xy"`` or
                ``"none"`` (default: by what is drawn); ``reduce``, ``"mean"`` or ``"median"`` with ``"sem"``, ``"sd"``
                or ``"quartiles"``, such as ``"mean,sem"``, or ``"none"``; ``width``, in inches or as ``"8.6cm"``.

        Raises:
            StoreError: what cannot be drawn, and why.
            DamagedRunError: a history that is damaged.
        """
        return import_module(FIGURES).of_sweep(self, y, x, **options)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each run, in the order of ``runs``: its id, its columns (h, alpha, seed, …) and its summary.

        Columns that mean nothing to a run's network are empty; one in which no run has a value is NaN.
        """
        import pandas as pd  # half a second to import: only for tables

        rows = [{"run_id": run.run_id, **_read_by_its_network(run), **run.summary} for run in self.runs]
        table = pd.DataFrame(rows)
        return table.astype(dict.fromkeys(table.columns[table.isna().all()], float)) if len(table) else table

    def histories(self, names: Sequence[str] | None = None) -> "pd.DataFrame":
        """Every observation of every run as one tidy table: a row for each, with the run's id and keys.

        Args:
            names: observables; all if omitted.

        Raises:
            DamagedRunError: a history that is damaged.
        """
        import pandas as pd

        frames = []
        for run in self.runs:
            history = {name: values for name, values in run.history.items() if names is None or name in (*names, "t")}
            keys = {"run_id": run.run_id, **{key: run.columns[key] for key in KEYS if key in run.columns}}
            frames.append(pd.DataFrame({**keys, **history}))
        return pd.concat(frames, ignore_index=True)

    def arrays(self, names: Sequence[str], dims: Sequence[str] = KEYS) -> "xr.Dataset":
        """Observables as labelled arrays over the grid and training time, NaN where there is no run or no observation.

        Time is the union of the observation times of all runs, without the last one of each, at which training stopped
        and which is every run's own; the values there are in ``table``.

        Args:
            names: observables, such as ``kernel/change``.
            dims: columns of ``table`` that tell the runs apart.

        Returns:
            Variables ``names`` of shape (*dims, t).

        Raises:
            StoreError: two runs with the same values of ``dims``, or an observable that no run has.
            DamagedRunError: a history that is damaged.
        """
        import xarray as xr

        axes = {dim: sorted({run.columns[dim] for run in self.runs}) for dim in dims}
        curves = [_before_the_end(run, names) for run in self.runs]
        t = np.unique(np.concatenate([curve["t"] for curve in curves]))
        shape = (*(len(values) for values in axes.values()), len(t))
        filled = {name: np.full(shape, np.nan) for name in names}
        for index, curve in zip(self._indices(axes), curves, strict=True):
            at = np.searchsorted(t, curve["t"])
            for name in names:
                filled[name][(*index, at)] = curve[name]
        missing = [name for name in names if not any(name in run.history for run in self.runs)]
        if missing:
            have = ", ".join(sorted({name for run in self.runs for name in run.history} - {"t"}))
            raise StoreError(f"No run in {self.root} has the observable {', '.join(missing)}; there are {have}.")
        return xr.Dataset({name: ((*dims, "t"), values) for name, values in filled.items()}, coords={**axes, "t": t})

    def _indices(self, axes: dict[str, list]) -> Iterator[tuple[int, ...]]:
        """Where each run belongs in an array over some columns.

        Raises:
            StoreError: two runs belong in the same place.
        """
        place = {dim: {value: i for i, value in enumerate(values)} for dim, values in axes.items()}
        seen: dict[tuple[int, ...], Run] = {}
        for run in self.runs:
            index = tuple(place[dim][run.columns[dim]] for dim in axes)
            if index in seen:
                raise StoreError(
                    f"The runs {seen[index].run_id} and {run.run_id} in {self.root} have the same {', '.join(axes)}; "
                    "name in dims another column that tells them apart."
                )
            seen[index] = run
            yield index


def _read_by_its_network(run: Run) -> dict[str, Any]:
    made = options("architecture").get(str(run.columns.get("architecture")))
    return {**run.columns, **dict.fromkeys(set(getattr(made, "unread", ())) & set(run.columns))}


def _before_the_end(run: Run, names: Sequence[str]) -> dict[str, np.ndarray]:
    t = run.history["t"][:-1]
    return {"t": t, **{name: run.history.get(name, np.full(len(t) + 1, np.nan))[:-1] for name in names}}


def load_sweep(root: Path | str) -> Sweep:
    """The complete runs of a results folder; see ``Sweep``. A directory that has another name than its run is named.

    Raises:
        StoreError: no complete run in the folder, or a damaged one.
        UnreadableRunError: one cannot be read now; without it the sweep would be another one.
    """
    names, _ = folders(Path(root))
    runs = []
    for path in (Path(root) / "runs" / name for name in sorted(names)):
        try:
            runs += [load_run(path)] if is_done(path) else []
        except MisnamedRunError as error:
            log.warning("%s", error)
    if not runs:
        where = "There is no complete run in" if Path(root).is_dir() else "There is no folder"
        raise StoreError(f"{where} {root}.")
    return Sweep(Path(root), sorted(runs, key=lambda run: tuple(run.columns.get(key, 0) for key in KEYS)))


def folders(root: Path) -> tuple[list[str], list[str]]:
    """Names of the runs' directories in a results folder, and a sentence for whatever else is there.

    Raises:
        StoreError: it cannot be read now.
    """
    names, problems = [], []
    try:
        with os.scandir(root / "runs") as found:
            for one in found:
                if one.name.startswith("."):
                    continue
                if one.is_dir(follow_symlinks=False):
                    names.append(one.name)
                else:
                    problems.append(f"{one.path} is not a run's directory, and is left alone.")
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        raise StoreError(f"{root / 'runs'} cannot be read now ({error.strerror}).") from error
    return names, problems

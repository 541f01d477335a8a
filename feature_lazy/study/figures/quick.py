"""Figures that a notebook asks a sweep or a run for: ``sweep.plot("kernel/change")``, ``run.plot()``."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from feature_lazy.core.errors import StoreError
from feature_lazy.core.words import meant
from feature_lazy.measure.quantity import quantity_of
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import Sweep
from feature_lazy.study.figures.axes import percent
from feature_lazy.study.figures.plot import SCRIPT_L, Wanted, draw, rows
from feature_lazy.study.figures.style import STYLE, inches, look
from feature_lazy.study.table import H, X, differences, with_runs

CURVES = ("train/loss", "test/error", "kernel/change")
"""What is drawn of a run that is asked for nothing."""


def of_sweep(
    sweep: Sweep,
    y: str,
    x: str,
    *,
    by: Sequence[str] | str | None = None,
    where: Mapping[str, Any] | Sequence[str] | str = (),
    log: str | None = None,
    reduce: str = "mean,sem",
    width: float | str | None = None,
) -> Figure:
    """See ``Sweep.plot``.

    Raises:
        StoreError: see ``study.figures.plot``.
    """
    lines = _apart(sweep, x, y) if by is None else _names(by)
    wanted = Wanted.reduced(reduce, x=x, y=y, by=lines, where=_rules(where), log=log)
    points, known = rows({"": sweep}, wanted)
    return _closed(draw(points, known, wanted, None if width is None else inches(width)))


def _names(given: Sequence[str] | str) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _rules(where: Mapping[str, Any] | Sequence[str] | str) -> tuple[str, ...]:
    if not isinstance(where, Mapping):
        return _names(where)
    listed = {
        name: values if isinstance(values, list | tuple | set | range) else [values] for name, values in where.items()
    }
    return tuple(f"{name}={','.join(map(str, values))}" for name, values in listed.items())


def _apart(sweep: Sweep, x: str, y: str) -> tuple[str, ...]:
    """What differs among runs that would be one point, but their seed: of α, √h·α and h two are enough."""
    table = with_runs(sweep)
    scales = [name for name in (H, X) if name in table and table[name].nunique() > 1]
    if x == "alpha":
        scales = [name for name in scales if name != X]
    return tuple(name for name in (*scales, *differences(table)) if name not in (x, y))


def of_run(run: Run, names: Sequence[str]) -> Figure:
    """See ``Run.plot``.

    Raises:
        StoreError: an observable that the run does not have.
    """
    if unknown := [name for name in names if name not in run.history]:
        hint = meant(unknown[0], run.history)
        raise StoreError(f"plot: the run {run.run_id} has no {unknown[0]!r} over time.{hint}")
    shown = names or [name for name in CURVES if name in run.history]
    with plt.rc_context({**STYLE, "figure.figsize": (STYLE["figure.figsize"][0], 0.6 + 1.7 * len(shown))}):
        figure, axes = plt.subplots(len(shown), 1, sharex=True, squeeze=False)
        t = run.history["t"]
        for index, (axis, name) in enumerate(zip(axes[:, 0], shown, strict=True)):
            quantity, values = quantity_of(name, run.quantities), run.history[name]
            axis.plot(t[t > 0], values[t > 0], ms=3, **look(index))
            if quantity.scale == "log" and (values[t > 0] > 0).all():
                axis.set_yscale("log")
            if quantity.scale == "percent":
                percent(axis)
            axis.set_title(quantity.label.replace(*SCRIPT_L), fontsize="small", loc="left")
        axes[-1, 0].set(xlabel="training time t", xscale="log")
    return _closed(figure)


def _closed(figure: Figure) -> Figure:
    """Out of pyplot's hands: a notebook would show it twice."""
    plt.close(figure)
    return figure

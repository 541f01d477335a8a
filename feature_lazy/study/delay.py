"""When a network fits, and when it generalises: columns of any run, from its history.

A run that has not generalised when it ends has a bound of its delay, and no value.
"""

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.statistics import falls
from feature_lazy.runs.reading import Run

COLUMNS = ("t_fit", "t_generalise", "delay", "delay_at_least", "test_at_fit", "test_at_end")
ON = ("loss", "error")


def with_delay(table: pd.DataFrame, threshold: float = 0.1, on: str = "loss") -> pd.DataFrame:
    """The table of runs with these columns.

    ``t_fit`` and ``t_generalise``: first t at which the training and the test loss fall to the threshold, linear in
    ln t between observations; ``delay`` = ln(t_generalise/t_fit), after Power et al. 2022 (arXiv:2201.02177);
    ``delay_at_least``: the same, of a run that has not generalised with the time at which it ended; ``test_at_fit`` and
    ``test_at_end``: the test loss then. NaN where a run does not come there.

    Args:
        table: runs, each with itself in the column ``run``.
        threshold: of the loss over that of the best constant, ½Var(y) with ``loss=mse``; of an error, a fraction.
        on: ``loss`` or ``error``.

    Raises:
        StoreError: a threshold that is not positive; or losses other than mse of one output, whose unit is not known.
    """
    if on not in ON or not threshold > 0:
        raise StoreError(f"threshold {threshold:g} on {on}: it must be positive, and on {' or '.join(ON)}.")
    rows = [_delay(run, threshold, on) for run in table["run"]]
    return table.assign(**dict(zip(COLUMNS, np.array(rows, dtype=float).reshape(-1, len(COLUMNS)).T, strict=True)))


def _delay(run: Run, threshold: float, on: str) -> tuple[float, ...]:
    history, missing = run.history, np.nan
    later = history["t"] > 0
    if f"train/{on}" not in history or not later.any():
        return (missing,) * len(COLUMNS)
    unit = _best_constant(run) if on == "loss" else 1.0
    x = np.log(history["t"][later])
    train, test = (history[f"{name}/{on}"][later] / unit for name in ("train", "test"))
    fit, generalise = (falls(x, curve[None] - threshold)[0] for curve in (train, test))
    reached = generalise if np.isfinite(generalise) else x[-1]
    at_fit = np.interp(fit, x, test) if np.isfinite(fit) else missing
    return np.exp(fit), np.exp(generalise), generalise - fit, reached - fit, at_fit, test[-1]


def _best_constant(run: Run) -> float:
    """½Var(y) over the test patterns.

    Raises:
        StoreError: another loss than mse, or several outputs.
    """
    y = run.outputs["y_test"]
    if run.config["loss"]["kind"] != "mse" or not np.issubdtype(y.dtype, np.floating):
        raise StoreError(
            f"loss={run.config['loss']['kind']} of the run {run.run_id}: the loss of the best constant is known of mse "
            "with one output; take the threshold on the error."
        )
    return float(y.var() / 2)

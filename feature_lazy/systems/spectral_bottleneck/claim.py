"""What is left of a signal of high frequencies: by the flow of the kernel at the start, and after training."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import Joined, law
from feature_lazy.study.verdict import Bound
from feature_lazy.systems.spectral_bottleneck import PAPER
from feature_lazy.systems.spectral_bottleneck.quantity import LEFT

LOSS = "train/loss"
HIGH, LOW = 0.5, 0.2
"""Over half of the sampling rate: bands that begin above the one are high, that end below the other low."""
LEAVES, WAITS, LEARNS = Bound(0.9), Bound(5), Bound(0.01, "below")
"""An independent calculation at P = 512, h = 64, L = 3 has 0.9993 of SIREN, 4e-4 of WINNER with ``scaled``, 0.90 with
``image`` and 0.043 with ``audio``; on a low band 5e-4 of SIREN."""
BETTER = Bound(10)
"""The same has, after 500 updates of Adam, 8e-3 over 1e-5 … 1e-7."""
STUCK, FITS = Bound(0.9), Bound(0.1, "below")
"""The paper's: nothing is learnt, and all is. The same calculation has 0.9995 of SIREN at P = 2048, and 8e-3 at 512."""
SAYS = {"paper": PAPER, "outcomes": ("t_end", "converged", "stationary"), "quiet": True}
LACKS = "runs of architecture=siren on dataset=signal, with dataset.band {}"
PAIRS = Joined("architecture.perturb", "none", "scaled")


@law(
    "target energy left by the kernel's flow, SIREN, high band",
    where="spectral bottleneck, lazy form",
    needs=(LEFT,),
    expected=LEAVES,
    lacks=LACKS.format("from 0.5 on, and observe/also=[target_energy]"),
    **SAYS,
)
def lazily_left(table: pd.DataFrame) -> Estimate | None:
    """Above 0.9: after ten times of the mean eigenvalue."""
    return _mean(_start(run) for run in runs(table, "none", HIGH))


@law(
    "target energy left by the kernel's flow, SIREN, low band",
    where="spectral bottleneck, lazy form",
    needs=(LEFT,),
    expected=LEARNS,
    lacks=LACKS.format("to 0.2 at most, and observe/also=[target_energy]"),
    **SAYS,
)
def lazily_learnt(table: pd.DataFrame) -> Estimate | None:
    """Below 0.01: it is the frequencies that are not learnt."""
    return _mean(_start(run) for run in runs(table, "none", LOW))


@law(
    "target energy left by the kernel's flow, SIREN over WINNER",
    where="WINNER, lazy form",
    needs=(LEFT,),
    expected=WAITS,
    lacks=LACKS.format("from 0.5 on, with architecture.perturb=none,scaled"),
    across=PAIRS,
    **SAYS,
)
def lazily_better(pairs: pd.DataFrame) -> Estimate | None:
    """Above 5: the geometric mean over seeds."""
    return _ratio(pairs, _start)


@law(
    "mean square error after training, SIREN over WINNER",
    where="WINNER",
    needs=(LOSS,),
    expected=BETTER,
    lacks=LACKS.format("from 0.5 on, with architecture.perturb=none,scaled"),
    across=PAIRS,
    **SAYS,
)
def better(pairs: pd.DataFrame) -> Estimate | None:
    """Above 10: the geometric mean over seeds."""
    return _ratio(pairs, left)


@law(
    "mean square error after training over that before, SIREN",
    where="spectral bottleneck",
    needs=(LOSS,),
    expected=STUCK,
    lacks=LACKS.format("from 0.5 on"),
    **SAYS,
)
def stuck(table: pd.DataFrame) -> Estimate | None:
    """Above 0.9: nothing is learnt."""
    return _mean(left(run) for run in runs(table, "none", HIGH))


@law(
    "mean square error after training over that before, WINNER",
    where="WINNER",
    needs=(LOSS,),
    expected=FITS,
    lacks=LACKS.format("from 0.5 on, with architecture.perturb=scaled"),
    **SAYS,
)
def fits(table: pd.DataFrame) -> Estimate | None:
    """Below 0.1."""
    return _mean(left(run) for run in runs(table, "scaled", HIGH))


def runs(table: pd.DataFrame, perturb: str, band: float) -> list[Run]:
    """Those of networks of sines on drawn signals of a high or of a low band, with one of WINNER's schedules."""
    return [run for run in table["run"] if _what(run) == (perturb, band)]


def _what(run: Run) -> tuple[str, float] | None:
    data, network = (run.config.get(group, {}) for group in ("dataset", "architecture"))
    if data.get("kind") != "signal" or data.get("content") or network.get("kind") != "siren":
        return None
    low, high = data["band"]
    return network["perturb"], HIGH if low >= HIGH else LOW if high <= LOW else np.nan


def _start(run: Run) -> float:
    return float(run.history[LEFT][0])


def left(run: Run) -> float:
    """Loss at the end over that of F = 0, where training starts."""
    return float(run.history[LOSS][-1] / run.history[LOSS][0])


def _mean(values: Iterable[float]) -> Estimate | None:
    each = np.array(list(values), dtype=float)
    return average(each) if len(each) else None


def _ratio(pairs: pd.DataFrame, of: Callable[[Run], float]) -> Estimate | None:
    """Geometric mean over pairs of runs on a high band."""
    both = zip(pairs["run"], pairs["run_other"], strict=True)
    logs = _mean(np.log(of(one) / of(other)) for one, other in both if _what(one) == ("none", HIGH))
    if logs is None:
        return None
    value = float(np.exp(logs.value))
    return Estimate(value, float(value * np.expm1(logs.error)), logs.seeds)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The loss along training, for the atlas; what the flow of the first kernel would leave, as a dotted line."""
    for index, (perturb, band, label) in enumerate(
        (("none", HIGH, "SIREN, high band"), ("scaled", HIGH, "WINNER, high band"), ("none", LOW, "SIREN, low band"))
    ):
        found = runs(table, perturb, band)
        if not found:
            continue
        t = found[0].history["t"]
        curves = np.array([run.history[LOSS] / run.history[LOSS][0] for run in found])
        style = look(index)
        axes.plot(t, np.exp(np.log(curves).mean(0)), label=label, **style)
        lazy = np.exp(np.mean([np.log(_start(run)) for run in found]))
        axes.axhline(lazy, linestyle=":", linewidth=1, color=style["color"])
    axes.plot([], [], ":", color="black", linewidth=1, label="left by the kernel's flow")
    axes.set(yscale="log", xlabel="updates of Adam", ylabel="mean square error over that before")
    axes.legend()

"""How much of F − y one update of natural gradient descent takes off, and whether from all patterns alike."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected, Reading
from feature_lazy.systems.natural_gradient import PAPER
from feature_lazy.systems.natural_gradient.parts import BLOCK, EXACT, KFAC, TRIDIAGONAL

LOSS = "train/loss"
UPDATES = 3
"""Updates that count: later ones see a kernel that has moved."""
LAZY = 100.0
"""√h·α from which on they count."""
ALL = (0.0, np.inf)
LAYERS = Expected(1, 0.06, "finite h")
"""Theorem 4.1. At h = 1024 an independent calculation has factors of 0.502 to 0.516 where 1 − step = 0.5: 3 % of the
share that goes, and as much again for other data."""
FACTORS = Expected(1, 0.16, "finite h")
"""Section 4.3; at h = 1024 an independent calculation has 0.524 to 0.564 for 0.5, and 0.590 to 0.620 at h = 256."""
TURNED = Bound(0.2)
"""sin of the angle between F − F₀ and y − F₀: an independent calculation has 0.36 for gradient descent, and less than
1e-5 for a small step by any part of G."""
TOGETHER = {"paper": PAPER, "needs": (LOSS,), "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}


@law(
    "share of F − y in an update over step, by layers",
    paper=PAPER,
    where="Theorem 4.1",
    needs=(LOSS,),
    expected=LAYERS,
    lacks=f"natural gradient descent with mse, √hα ≥ {LAZY:g}, seen at t = 0 and {UPDATES}",
    outcomes=("converged", "t_end"),
    quiet=True,
)
def share_by_layers(table: pd.DataFrame) -> Estimate | Iterable[Reading] | None:
    """1 for all of G and for its blocks, at the largest h."""
    part = updates(table, EXACT, BLOCK, TRIDIAGONAL)
    return () if part is None else mean(part[part[H] == part[H].max()], "share", ALL)


@law(
    "share of F − y in an update over step, Kronecker factors",
    paper=PAPER,
    where="section 4.3",
    needs=(LOSS,),
    expected=FACTORS,
    lacks=f"K-FAC with mse, √hα ≥ {LAZY:g}, seen at t = 0 and {UPDATES}",
    outcomes=("converged", "t_end"),
    quiet=True,
)
def share_by_factors(table: pd.DataFrame) -> Estimate | Iterable[Reading] | None:
    """1 at infinite width, at the largest h."""
    part = updates(table, KFAC)
    return () if part is None else mean(part[part[H] == part[H].max()], "share", ALL)


@law(
    "Kronecker factors: |1 − share| falls with h, exponent",
    paper=PAPER,
    where="section 4.3",
    needs=(LOSS,),
    expected=ABOVE_ZERO,
    lacks=f"K-FAC with mse at two widths and one α, seen at t = 0 and {UPDATES}",
    outcomes=("converged", "t_end"),
    quiet=True,
)
def factors_against_width(table: pd.DataFrame) -> Estimate | Iterable[Reading] | None:
    """Minus the exponent of |1 − share| in h."""
    part = updates(table, KFAC, least=0)
    if part is None:
        return ()
    found = width_slope(part, "distance", ALL, fixed="alpha")
    return found and Estimate(-found.value, found.error, found.seeds)


@law(
    "angle between F − F₀ and y − F₀, gradient descent",
    where="beside natural gradients",
    expected=TURNED,
    lacks=f"sgd on all patterns with mse, √hα ≥ {LAZY:g}",
    **TOGETHER,
)
def turned(table: pd.DataFrame) -> Estimate | None:
    """Above 0: the control, in which patterns go by eigenvectors of Θ."""
    plain = [
        run.config.get("dynamics", {}).get("kind") == "sgd"
        and run.config.get("dynamics", {}).get("batch", 0) >= run.config.get("dataset", {}).get("n_train")
        and run.config.get("loss", {}).get("kind") == "mse"
        for run in table["run"]
    ]
    part = table[np.array(plain, dtype=bool) & (table["sqrt_h_alpha"] >= LAZY)]
    return _turn(part)


def _turn(part: pd.DataFrame) -> Estimate | None:
    part = part[part[H] == part[H].max()]
    return mean(part.assign(turn=[sine(run) for run in part["run"]]), "turn", ALL)


def sine(run: Run) -> float:
    """Sine of the angle between F − F₀ at the end and y − F₀, over training patterns."""
    found = run.outputs
    first = 0.0 if run.config.get("centred", True) else run.columns["alpha"] * found["f0_train"]
    moved, wanted = found["F_train"] - first, found["y_train"] - first
    cosine = moved @ wanted / np.sqrt((moved @ moved) * (wanted @ wanted))
    return float(np.sqrt(max(0.0, 1 - cosine**2)))


def updates(table: pd.DataFrame, *fishers: str, least: float = LAZY) -> pd.DataFrame | None:
    """The runs of natural gradient descent by some parts of G, with ``share`` and ``distance``, |1 − share|.

    Those with √h·α of at least ``least``.

    The share is 1 − ρ over ``step``, ρ the geometric mean of ‖F − y‖ after over before an update; of mse its square is
    the loss. None where no run is of them: the law says nothing of others.
    """
    kinds = pd.Series([run.config.get("dynamics", {}).get("fisher") for run in table["run"]], table.index)
    part = table[kinds.isin(fishers) & (table["sqrt_h_alpha"] >= least)]
    if part.empty:
        return None
    shares = [share(run.history, run.config.get("dynamics", {})["step"]) for run in part["run"]]
    part = part.assign(share=shares, fisher=kinds)
    return part.assign(distance=(1 - part["share"]).abs())


def share(history: dict[str, np.ndarray], step: float) -> float:
    """Of one run; NaN where it was not looked at after 0 and ``UPDATES`` updates."""
    at = [np.flatnonzero(np.isclose(history["t"], t)) for t in (0, UPDATES)]
    if not all(map(len, at)):
        return float("nan")
    before, after = (history[LOSS][found[0]] for found in at)
    return (1 - (after / before) ** (0.5 / UPDATES)) / step


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The share against h, a line for each part of G, for the atlas."""
    for index, fisher in enumerate((EXACT, BLOCK, TRIDIAGONAL, KFAC)):
        part = updates(table, fisher, least=0)
        if part is not None:
            centre, error = (part.groupby(H)["share"].agg(how) for how in ("mean", "sem"))
            axes.errorbar(centre.index, centre, error.fillna(0), capsize=2, label=fisher, **look(index))
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="width h", ylabel="share of F − y in an update, over step")
    axes.legend()
    tidy(axes.xaxis)

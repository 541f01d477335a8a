"""Fine-tuning with a new output layer V, and after V was trained alone; and by weights of low rank.

f = Vφ has Θ = ⟨φ, φ′⟩·1 + V ∂φ ∂φ′ᵀ Vᵀ: the part of V itself does not know how large V is, that of the features grows
as ‖V‖². Training V alone with cross-entropy lets it grow.
"""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from feature_lazy.kernels import layer_kernels
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average, estimate
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import CELL
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.lp_ft import PAPER

NORM, CHANGE, ECE, SCALED = "head/norm", "features/change", "test/ece", "test/ece_scaled"
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}
NEW, KEPT = "with a new head", "after linear probing"
BOTH = "seed=from_run of one parent with seed.head=new, and with seed.head=keep after dynamics.train=[last]"
LESS = Bound(0.1, "below")
"""An order of magnitude; an independent calculation has 0.057, 0.059 and 0.079 at a training loss of 0.03."""
RANK = Expected(-0.5, 0.1, "few draws of A")
"""AᵀA is a mean of r independent matrices, so that the square of the error has exactly 1/r for a mean. What the tenth
is for is that few A are drawn: an independent calculation has −0.47."""
FACTORS = (1.0, 2.0, 4.0)
"""By which V is multiplied."""
PATTERNS = 8
"""Test patterns on which the kernel is taken then."""


@law("share of features in tr Θ at the start, LP-FT less FT", needs=(NORM,), expected=ABOVE_ZERO, lacks=BOTH, **SAYS)
def feature_share(table: pd.DataFrame) -> Estimate | None:
    """Above 0, since V has grown."""
    both = pairs(table)
    return _mean([_share(probed) - _share(new) for new, probed in _runs(both)])


@law(
    "tr Θ of features when V is multiplied, exponent of ‖V‖",
    needs=(NORM,),
    expected=2,
    lacks=f"{BOTH}, with observe.weights=ends",
    **SAYS,
)
def grows_with_norm(table: pd.DataFrame) -> Estimate | None:
    """2, an identity, at the start of fine-tuning after linear probing."""
    runs = [run for run in chosen(table, KEPT)["run"] if run.weight_numbers]
    return _mean([norm_exponent(run) for run in runs])


@law("‖V‖ after linear probing, over before", needs=(NORM,), expected=Bound(1.0), lacks=BOTH, **SAYS)
def grown(table: pd.DataFrame) -> Estimate | None:
    """Above 1: cross-entropy has no minimum at a finite V where classes can be told apart."""
    return _mean([probed.history[NORM][0] / new.history[NORM][0] for new, probed in _runs(pairs(table))])


@law(
    "change of features at one training loss, LP-FT over FT",
    needs=(CHANGE,),
    expected=LESS,
    lacks=f"{BOTH}, both trained to one loss",
    **SAYS,
)
def less_change(table: pd.DataFrame) -> Estimate | None:
    """Below a tenth, at the smallest training loss that both reach."""
    found = [at_one_loss(new, probed) for new, probed in _runs(pairs(table))]
    return _mean([after / before for before, after in found])


@law(
    "calibration error of LP-FT, less that after temperature scaling",
    needs=(ECE, SCALED),
    expected=ABOVE_ZERO,
    lacks=f"{BOTH}, with observe/also=[calibration]",
    **SAYS,
)
def repaired(table: pd.DataFrame) -> Estimate | None:
    """Above 0, on the whole test set."""
    part = chosen(table, KEPT)
    return _mean((part[ECE] - part[SCALED]).dropna().tolist())


@law(
    "‖Θ_LoRA − Θ_FT‖/‖Θ_FT‖ at the start, exponent of r",
    needs=(NORM,),
    expected=RANK,
    lacks="architecture.lora at two ranks beside runs without, from one parent, with observe.kernel.matrices=true",
    **SAYS,
)
def against_rank(table: pd.DataFrame) -> Estimate | None:
    """−½, of the root mean square over seeds."""
    errors = rank_errors(table)
    if errors is None or len(errors) < 2:
        return None
    x, squares = np.log(errors.index.to_numpy(float)), errors.to_numpy() ** 2

    def exponent(weights: np.ndarray) -> np.ndarray:
        rms = np.log(weights @ squares.T / weights.sum(1, keepdims=True)) / 2
        return (rms - rms.mean(1, keepdims=True)) @ (x - x.mean()) / np.square(x - x.mean()).sum()

    return estimate(exponent, squares.shape[1])


def chosen(table: pd.DataFrame, start: str) -> pd.DataFrame:
    """Runs of all weights that start from a stored run, with a new head or with the one that it has."""
    head = {NEW: "new", KEPT: "keep"}[start]
    mine = [
        run.config.get("seed", {}).get("head") == head
        and run.config.get("dynamics", {}).get("train", ["all"]) == ["all"]
        and not run.config.get("architecture", {}).get("lora")
        for run in table["run"]
    ]
    return table[np.array(mine, dtype=bool)]


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Both ways of fine-tuning side by side: ``run`` of the new head and ``run_other`` after linear probing."""
    return chosen(table, NEW).merge(chosen(table, KEPT), on=CELL, suffixes=("", "_other"))


def _runs(both: pd.DataFrame) -> list[tuple[Run, Run]]:
    return list(zip(both["run"], both["run_other"], strict=True))


def _mean(values: list[float]) -> Estimate | None:
    return average(np.array(values, dtype=float)) if np.isfinite(values).any() else None


def _share(run: Run) -> float:
    """What is not the output layer's in tr Θ at t = 0; NaN without observe.kernel.layers."""
    shares = {name: values[0] for name, values in run.history.items() if name.endswith("/share")}
    return 1 - shares[max(shares)] if shares else np.nan  # the last layer has the largest number


def norm_exponent(run: Run) -> float:
    """Exponent of ‖V‖ in the features' part of tr Θ, of a run's weights at the start with V multiplied."""
    net = stored_network(run)
    layout, x = net.architecture.layout, net.data.x_test[:PATTERNS]
    params, traces = layout.unflatten(net.weights(0)), []
    for factor in FACTORS:
        scaled = {name: w * factor if name in layout.last else w for name, w in params.items()}
        parts = layer_kernels(net.architecture, scaled, x)
        traces.append(sum(float(torch.trace(one[0])) for name, one in parts.items() if name not in layout.last))
    return float(np.polyfit(np.log(FACTORS), np.log(traces), 1)[0])


def at_one_loss(new: Run, probed: Run) -> tuple[float, float]:
    """Change of features of both at the smallest training loss that both reach, by its logarithm; NaN: none."""
    losses = [run.history["train/loss"] for run in (new, probed)]
    level = max(loss[-1] for loss in losses)
    if any(loss[0] < level for loss in losses):
        return np.nan, np.nan
    first, second = (
        float(np.interp(-np.log(level), -np.log(loss), run.history[CHANGE]))
        for loss, run in zip(losses, (new, probed), strict=True)
    )
    return first, second


def rank_errors(table: pd.DataFrame) -> pd.DataFrame | None:
    """‖Θ_LoRA − Θ_FT‖/‖Θ_FT‖ at t = 0 by r and seed, of seeds that have all r; None where there are none."""
    exact = {run.columns["seed"]: run for run in chosen(table, NEW)["run"]}
    rows = []
    for run in table["run"]:
        rank, seed = run.config.get("architecture", {}).get("lora"), run.columns["seed"]
        if rank and seed in exact and "theta_start" in run.outputs:
            whole = exact[seed].outputs["theta_start"]
            error = np.linalg.norm(run.outputs["theta_start"] - whole) / np.linalg.norm(whole)
            rows.append({"r": rank, "seed": seed, "error": error})
    return pd.DataFrame(rows).pivot_table("error", "r", "seed").dropna(axis=1) if rows else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Change of features against the training loss, a line for each seed, for the atlas."""
    for index, start in enumerate((NEW, KEPT)):
        for number, run in enumerate(chosen(table, start)["run"]):
            moved = run.history[CHANGE] > 1e-7
            style = {**look(index), "markersize": 3}
            label = {"label": f"fine-tuning {start}"} if number == 0 else {}
            axes.plot(run.history["train/loss"][moved], run.history[CHANGE][moved], **style, **label)
    axes.set(xscale="log", yscale="log", xlabel="training loss", ylabel="change of features, |φ − φ₀|²/|φ₀|²")
    axes.invert_xaxis()
    axes.legend(loc="center left")

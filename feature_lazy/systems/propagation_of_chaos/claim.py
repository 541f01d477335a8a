"""How far single units, and F, are apart after SGD on different streams of patterns, against the width."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, jackknife
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.joined import alike
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected, Reading, judged
from feature_lazy.systems.propagation_of_chaos import PAPER
from feature_lazy.systems.propagation_of_chaos.quantity import PARTICLES, WAY

EXPONENT = Expected(0, 0.06, "next order in lr and 1/h")
"""The variance is linear in the time u ~ h^((β − 1)/(1 − δ)) of an update, where u is small. An independent calculation
(digits, tanh, h = 25 … 400, lr = 0.25, t = 4) has exponents of −0.504, −0.267 and 0.001 for β = 0.5, 0.75 and 1, where
−0.5, −0.25 and 0 are expected; of F −0.53, −0.34 and −0.007."""
LACKS = "sgd of several batch_seed, parametrisation=mean_field, at two widths"
Streams = dict[tuple[float, int], dict[int, np.ndarray]]
"""By α and seed, then by h: what a run ends with, of each stream, (S, n)."""
TOGETHER = {"paper": PAPER, "expected": EXPONENT, "lacks": LACKS, "across": KINDS, "quiet": True}
OUTCOMES = ("converged", "t_end")


@law(
    "variance of a unit over streams of patterns: exponent in h, less (β − 1)/(1 − δ)",
    where="Theorems 1 and 2; ± over streams",
    needs=(WAY,),
    outcomes=OUTCOMES,
    **TOGETHER,
)
def of_units(table: pd.DataFrame) -> Iterator[Reading]:
    """0: the noise vanishes with h for β < 1, and stays for β = 1."""
    return _readings(table[table[WAY].notna()], lambda run: run.outputs[PARTICLES])


@law(
    "variance of F over streams of patterns: exponent in h, less (β − 1)/(1 − δ)",
    where="Theorems 1 and 2; ± over streams",
    needs=("test/loss",),
    outcomes=OUTCOMES,
    **TOGETHER,
)
def of_outputs(table: pd.DataFrame) -> Iterator[Reading]:
    """0: all units see one stream, so that their noise does not average out in F."""
    return _readings(table, lambda run: run.outputs["F_test"])


def _readings(table: pd.DataFrame, array: Callable[[Run], np.ndarray]) -> Iterator[Reading]:
    for beta, decay, streams in kinds(table, array):
        found = exponent(streams)
        theory = (beta - 1) / (1 - decay)
        less = found and Estimate(found.value - theory, found.error, found.seeds)
        yield judged(EXPONENT, less, on=named(beta, decay), lacks=LACKS)


def named(beta: float, decay: float) -> str:
    """What is said of a learning rate."""
    return f"β = {beta:g}" + (f", δ = {decay:g}" if decay else "")


def kinds(table: pd.DataFrame, array: Callable[[Run], np.ndarray]) -> list[tuple[float, float, Streams]]:
    """Runs of SGD in mean-field time that differ in their streams alone: β and δ, and what they end with."""
    chosen = [
        run.config.get("dynamics", {}).get("kind") == "sgd"
        and run.config.get("parametrisation", {}).get("kind") == "mean_field"
        for run in table["run"]
    ]
    found = []
    for values in alike(table[np.array(chosen, dtype=bool)], lambda config: config["dynamics"].pop("batch_seed", None)):
        if len(values) < 2:
            continue
        rows = pd.concat([part.assign(stream=stream) for stream, part in values], ignore_index=True)
        streams: Streams = {}
        for (alpha, seed, h), part in rows.groupby(["alpha", "seed", H]):
            if len(part) == len(values):
                ends = [array(run) for run in part.sort_values("stream")["run"]]
                streams.setdefault((alpha, seed), {})[h] = np.stack(ends).reshape(len(part), -1)
        dynamics = rows["run"].iloc[0].config["dynamics"]
        found.append((dynamics.get("lr_width", 1.0), dynamics.get("decay", 0.0), streams))
    return sorted(found, key=lambda one: one[:2])


def variance(ends: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over entries of the variance over streams of ends (S, n), by weights of streams (B, S): (B,)."""
    total = weights.sum(1)
    ends = ends - ends.mean(0)
    first, second = weights @ ends / total[:, None], weights @ np.square(ends).mean(1) / total
    return (second - np.square(first).mean(1)) * total / (total - 1)


def exponent(streams: Streams) -> Estimate | None:
    """Exponent of the variance in h, one intercept for each α and seed.

    Its error is over the streams, which all seeds and widths have in common: a jackknife, since a stream that is drawn
    twice would be no second one.
    """
    lines = [by_width for by_width in streams.values() if len(by_width) > 1]
    if not lines:
        return None

    def slope(weights: np.ndarray) -> np.ndarray:
        up = across = 0.0
        for by_width in lines:
            u = np.log(list(by_width))
            u = u - u.mean()
            logs = np.log([variance(ends, weights) for ends in by_width.values()])
            up, across = up + u @ logs, across + u @ u
        return np.asarray(up / across)

    return jackknife(slope, len(next(iter(lines[0].values()))))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The variance of a unit against h, a line for each learning rate, with what is expected, for the atlas."""
    for index, (beta, decay, streams) in enumerate(kinds(table, lambda run: run.outputs[PARTICLES])):
        widths = sorted({h for by_width in streams.values() for h in by_width})
        every = np.ones((1, len(next(iter(next(iter(streams.values())).values())))))
        values = np.array([[variance(by_width[h], every)[0] for h in widths] for by_width in streams.values()])
        centre, error = values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))
        axes.errorbar(widths, centre, error, capsize=2, label=named(beta, decay), **look(index))
        if not decay:  # whose line would lie on another
            power = beta - 1
            guide(axes, (widths[0], widths[-1]), (widths[0], centre[0] * 1.25), power, f"$h^{{{power:g}}}$")
    axes.set(xscale="log", yscale="log", xlabel="width h", ylabel="variance of a unit over streams of patterns")
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)

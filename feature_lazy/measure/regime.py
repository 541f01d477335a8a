"""Is this network lazy here, or does it learn features? Trained at a few α, answered in numbers and in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.arrays import number
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.margins import margins
from feature_lazy.core.shown import table
from feature_lazy.core.statistics import falls
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.frozen import SettlingFlow
from feature_lazy.dynamics.integrate import Limits, finish, start
from feature_lazy.dynamics.losses import LossForce
from feature_lazy.dynamics.methods import method
from feature_lazy.kernels import joint_kernel, relative_change
from feature_lazy.measure.follow import MAX_STEPS, follow
from feature_lazy.measure.given import AnyLoss, AnyNetwork, Given, labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEATURE, LAZY = 1.0, 0.1
"""Kernel change from which on features are learnt, and up to which training is lazy."""
TOLERANCE = 1e-2
"""Tolerance of the flow under the initial kernel; the network's own is ``follow``'s."""
DECADES = 3
"""Further α, a factor of ten apart, that are tried to find where the kernel change is 1."""


@dataclass(frozen=True)
class Evidence:
    """What one training says.

    Attributes:
        alpha: α.
        outcome: how training ended.
        t_stop: when, in the article's t; NaN: not every pattern was fit.
        kernel_change: ‖Θ − Θ₀‖_F/‖Θ₀‖_F on the test patterns, at the end.
        weight_change: ‖w − w₀‖/‖w₀‖.
        linearisation_error: rms(F − F_lin)/rms(F_lin) on the test patterns, both at their ends, where F_lin was trained
            under the kernel of the beginning; at most of order 1, and not small unless training is lazy.
        kernels: kernels that the exponential integrator took, the fewer the lazier; 0: another method was cheaper.
        test_error: fraction of the test patterns with a margin ≤ 0; NaN without labels.
    """

    alpha: float
    outcome: str
    t_stop: float
    kernel_change: float
    weight_change: float
    linearisation_error: float
    kernels: int
    test_error: float

    @property
    def regime(self) -> str:
        """``feature``, ``lazy``, or ``between``."""
        if self.kernel_change >= FEATURE:
            return "feature"
        return "lazy" if self.kernel_change <= LAZY else "between"


@dataclass(frozen=True)
class Regime:
    """The answer at one α, with its evidence.

    Attributes:
        alpha: α that was asked about.
        rows: evidence at every α that was tried, ascending.
        alpha_star: α at which the kernel change is 1, interpolated in logarithms; NaN: not among those tried.
    """

    alpha: float
    rows: list[Evidence]
    alpha_star: float

    def __repr__(self) -> str:
        """One line."""
        crossing = "not among those tried" if math.isnan(self.alpha_star) else f"{self.alpha_star:.3g}"
        return f"Regime: {self.here.regime} at α = {self.alpha:.3g}, α* = {crossing}; {len(self.rows)} α tried"

    def _repr_html_(self) -> str:
        """The answer and its evidence as a short table, for notebooks."""
        head = [field.name for field in fields(Evidence)]
        return table(self.words, [*head, "regime"], [[*vars(row).values(), row.regime] for row in self.rows])

    @property
    def here(self) -> Evidence:
        """The evidence at the α that was asked about."""
        return next(row for row in self.rows if row.alpha == self.alpha)

    @property
    def words(self) -> str:
        """The answer in sentences."""
        here = self.here
        name = {
            "feature": "This network learns features",
            "lazy": "This network trains lazily",
            "between": "This network is between the regimes",
        }[here.regime]
        text = (
            f"{name} at α = {here.alpha:.3g}: its kernel changes by {here.kernel_change:.2g} of its size, its weights "
            f"by {here.weight_change:.2g} of theirs, and its linearisation, trained alike, is off by "
            f"{here.linearisation_error:.0%} of its output."
        )
        if here.outcome != "converged":
            text += f" Training ended with {here.outcome} before every pattern was fit, so more may change."
        if math.isnan(self.alpha_star):
            side = "above" if self.rows[-1].kernel_change > 1 else "below"
            edge = self.rows[-1 if side == "above" else 0].alpha
            return f"{text} The boundary, a kernel change of 1, lies {side} α = {edge:.3g}, the last that was tried."
        away = self.alpha_star / here.alpha
        where = f"{away:.3g} times larger" if away >= 1 else f"{1 / away:.3g} times smaller"
        return f"{text} The boundary, a kernel change of 1, lies at α* = {self.alpha_star:.3g}, {where}."

    def figure(self) -> "Figure":
        """Kernel change, weight change and linearisation error against α, with α* and the α that was asked about."""
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(6, 4), layout="constrained")
        axes, alphas = figure.add_subplot(), [row.alpha for row in self.rows]
        for name in ("kernel_change", "weight_change", "linearisation_error"):
            axes.loglog(alphas, [getattr(row, name) for row in self.rows], "o-", label=name.replace("_", " "))
        axes.axhline(1, color="grey", lw=0.8)
        axes.axvline(self.alpha, color="black", ls=":", label="asked about")
        if not math.isnan(self.alpha_star):
            axes.axvline(self.alpha_star, color="tab:red", ls="--", label=f"α* = {self.alpha_star:.3g}")
        axes.set(xlabel="α", title=f"{self.here.regime} at α = {self.alpha:.3g}")
        axes.legend()
        plt.close(figure)  # a notebook would show it twice
        return figure


def regime(
    network: AnyNetwork,
    weights: Mapping[str, Any] | None,
    train: tuple[Any, Any],
    test: tuple[Any, Any | None],
    *,
    alpha: float,
    others: Sequence[float] = (0.01, 0.1, 10.0, 100.0),
    loss: AnyLoss = None,
) -> Regime:
    """Train a network at one α and a few others, and say which regime it is in.

    Args:
        network: see ``follow``.
        weights: see ``follow``.
        train: patterns (P, …) and labels (P,), ±1 or classes.
        test: patterns (P_test, …) on which kernels and predictors are compared, and their labels or None.
        alpha: α that is asked about.
        others: further ones, over ``alpha``; if the kernel change does not cross 1 among them, more are tried.
        loss: ℓ; default: see ``follow``.

    Raises:
        ConfigError: see ``follow``; or factors that are not positive.
        DataError: see ``follow``; or no test patterns.
    """
    alpha = number(alpha, "alpha", gt=0)
    others = [number(factor, f"others[{index}]", gt=0) for index, factor in enumerate(others)]
    given = Given.of(network, weights, train, loss)
    given.check_fit()
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise ConfigError("test must be two: patterns (P_test, …), and their labels or None.")
    x_test = given.more(test[0], "test patterns")
    y_test = None if test[1] is None else labels(test[1], x_test, given.network.n_outputs, given.loss)
    with torch.no_grad():
        frozen = _frozen(given, x_test)

    def at(value: float) -> Evidence:
        pair = (given.x, given.y)
        run = follow(given.network, given.weights, pair, alpha=value, test=x_test, loss=given.loss, times=[])
        assert run.F_test is not None  # there are test patterns
        outputs, w0 = run.F_test[-1].flatten(), run.w[0]
        wrong = math.nan if y_test is None else float((margins(outputs, y_test) <= 0).double().mean())
        return Evidence(
            alpha=value,
            outcome=str(run.outcome),
            t_stop=run.t_stop,
            kernel_change=float(relative_change(run.kernel(-1, x_test)[None], run.kernel(0, x_test)[None])),
            weight_change=float((run.w[-1] - w0).norm() / w0.norm()),
            linearisation_error=float((outputs - frozen).norm() / frozen.norm()),
            kernels=int(run.record["kernels"]),
            test_error=wrong,
        )

    rows = {value: at(value) for value in sorted({alpha, *(alpha * factor for factor in others)})}
    for _ in range(DECADES):
        first, last = min(rows), max(rows)
        if not rows[first].kernel_change >= 1:
            rows[first / 10] = at(first / 10)
        elif rows[last].kernel_change > 1:
            rows[last * 10] = at(last * 10)
        else:
            break
    found = [rows[value] for value in sorted(rows)]
    return Regime(alpha, found, _crossing(found))


def _frozen(given: Given, test: Tensor) -> Tensor:
    """F on the test patterns when training under the initial kernel has fit all others: the same at every α."""
    x, y, loss = given.x, given.y, given.loss
    params = {name: weight[None] for name, weight in given.weights.items()}
    kernel = joint_kernel(given.network, params, x.flatten(1), test.flatten(1))
    zero = torch.zeros_like(kernel.train[:, 0])
    flow = SettlingFlow(kernel.train, zero, lambda _: LossForce(loss, y, len(x)))
    natural = len(x) / flow.radius()
    how, events = method("rkc2", TOLERANCE), [converged(loss, y)]
    state = start(flow, how.stepper, zero, natural, len(events))
    limits = Limits(1e-10, natural, max_steps=MAX_STEPS)
    return kernel.test_train[0] @ finish(flow, how, state, limits, events=events).state.y[0]


def _crossing(rows: Sequence[Evidence]) -> float:
    """α at which the kernel change is 1, interpolated in logarithms at the largest such α; NaN: there is none."""
    with np.errstate(divide="ignore"):  # a kernel that has not changed at all
        x, y = (np.log([getattr(row, name) for row in rows]) for name in ("alpha", "kernel_change"))
    return float(np.exp(-falls(-x[::-1], -y[None, ::-1])[0]))  # from the far end, where the change rises through 1

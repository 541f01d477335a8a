"""What landmarks make of the Gaussian map of networks that were trained: its inverse, its error and its cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from feature_lazy.networks.attention import SPARE, Attention
from feature_lazy.networks.scores import SoftmaxFree, gaussian, newton, steps_needed
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average, average_over
from feature_lazy.study.exponents import start_slope
from feature_lazy.study.figures.style import look
from feature_lazy.study.joined import largest_gap
from feature_lazy.study.law import Joined, law
from feature_lazy.study.limit_laws import AT_START, KERNEL
from feature_lazy.study.verdict import Bound
from feature_lazy.systems.softmax_free_attention import PAPER

LOW, HIGH = 1e-8, 1 - 1e-6
"""‖1 − AV‖ between which its logarithm is free of rounding."""
SQUARED = 2.0
"""Of symmetric matrices 1 − AV is squared, and so is its largest eigenvalue: nothing is left but rounding."""
FALLS = Bound(1, "below")
"""An independent calculation on a smooth field of 196 tokens has 0.80, 0.66, 0.40, 0.21, 0.097 at 4 … 100 landmarks."""
REMAINS = Bound(1, "below")
"""S(S + r)⁻¹S is S − rS(S + r)⁻¹, which is at most r√n away, and ‖S‖ ≥ √n, since S has ones on its diagonal."""
LINEAR = 1.0
CHEAPER = Bound(1, "below")
"""3nmh and the inverse for 2n²h: an independent count has n ≈ 440 where both are equal."""
TOKENS, MARKS = (784, 1568, 3136), 49
"""Of maps whose multiplications are counted."""
ALIKE = Bound(0.05, "below")
"""The ridge changes keys less than their hundredth, (1 + S)k by rS(S + r)⁻¹k; two norms, two weights and training may
make this a few times larger."""
SAYS = {"paper": PAPER, "outcomes": ("converged", "stationary", "t_end"), "quiet": True}
LACKS = "two runs of architecture=attention architecture.map=soft with observe.weights=ends"


@dataclass(frozen=True)
class Soft:
    """A run of softmax-free attention.

    Attributes:
        net: its network.
        map: its landmarks and their inverse.
        keys: of test patterns in the first layer at the end, over √n, so that their products are scores: (P, T, n).
    """

    net: Attention
    map: SoftmaxFree
    keys: Tensor

    @classmethod
    def of(cls, run: Run) -> "Soft | None":
        """None of a run of something else, or without its weights."""
        network = run.config.get("architecture", {})
        if network.get("kind") != "attention" or network.get("map") != "soft" or not run.weight_numbers:
            return None
        stored = stored_network(run)
        net = stored.architecture
        assert isinstance(net, Attention)
        assert isinstance(net.map, SoftmaxFree)
        with torch.enable_grad():  # taps are part of a graph
            first = net.taps(net.layout.unflatten(stored.weights()), stored.data.x_test)[1][0]
        return cls(net, net.map, first.preactivations.detach()[0, ..., 0].mT / net.scores_over**0.5)

    @property
    def divisors(self) -> list[int]:
        """Numbers of landmarks that there can be."""
        n = self.net.tokens.number
        return [m for m in range(1, n + 1) if n % m == 0]

    def errors(self) -> np.ndarray:
        """‖Ŝ − S‖/‖S‖ of each number of landmarks, a mean over patterns."""
        gram = self.keys @ self.keys.mT
        whole, found = gaussian(gram), []
        for m in self.divisors:
            part = replace(self.map, landmarks=m, newton=steps_needed(m, self.map.ridge) + SPARE)(gram)
            found.append(float(((part - whole).norm(dim=(1, 2)) / whole.norm(dim=(1, 2))).mean()))
        return np.array(found)

    def order(self) -> float:
        """Mean of log‖1 − AV_{k+1}‖/log‖1 − AV_k‖ over steps and patterns."""
        a = self.map.parts(self.keys)[1]
        one = torch.eye(self.map.landmarks, dtype=a.dtype)
        left = torch.stack([torch.linalg.matrix_norm(one - a @ v, 2) for v in newton(a, self.map.newton)])
        told = (left[:-1] < HIGH) & (left[1:] > LOW)
        return float((left[1:].log() / left[:-1].log())[told].mean())

    def multiplications(self, tokens: int, *, landmarks: bool = True) -> int:
        """Of the map of one pattern of so many tokens, as they are done."""
        map_ = replace(self.map, landmarks=MARKS) if landmarks else "gaussian"
        keys = torch.empty(1, 1, tokens, self.net.width, device="meta")
        with FlopCounterMode(display=False) as counter:
            replace(self.net, map=map_).mixed(keys)
        return counter.get_total_flops() // 2


def measured(table: pd.DataFrame, value: Callable[[Soft], float]) -> Estimate | None:
    """Mean over runs."""
    return average_over([found for run in table.get("run", ()) if (found := Soft.of(run))], value)


@law(
    "log‖1 − AV‖ after a Newton–Raphson step over that before",
    where="section 3.2",
    expected=SQUARED,
    lacks=LACKS,
    **SAYS,
)
def quadratic(table: pd.DataFrame) -> Estimate | None:
    """2, of landmarks of networks that were trained."""
    return measured(table, lambda one: one.order())


@law(
    "error of Ŝ over that with the next smaller number of landmarks, largest",
    where="section 3.1",
    expected=FALLS,
    lacks=LACKS,
    **SAYS,
)
def falling(table: pd.DataFrame) -> Estimate | None:
    """Below 1, over all numbers of landmarks that divide the tokens."""
    return measured(table, lambda one: float((one.errors()[1:] / one.errors()[:-1]).max()))


@law(
    "error of Ŝ with every token a landmark, over the ridge",
    where="section 3.1",
    expected=REMAINS,
    lacks=LACKS,
    **SAYS,
)
def remaining(table: pd.DataFrame) -> Estimate | None:
    """Below 1: without a ridge there is none."""
    return measured(table, lambda one: float(one.errors()[-1] / one.map.ridge))


@law(
    "multiplications that tokens add to Ŝv, exponent",
    where="linear complexity",
    expected=LINEAR,
    lacks=LACKS,
    **SAYS,
)
def linear(table: pd.DataFrame) -> Estimate | None:
    """1, of what n tokens more add to n = 784 and to twice as many."""

    def exponent(one: Soft) -> float:
        few, some, many = (one.multiplications(n) for n in TOKENS)
        return float(np.log2((many - some) / (some - few)))

    return measured(table, exponent)


@law(
    "multiplications of Ŝv over those of Sv, 784 tokens, 49 landmarks",
    where="linear complexity",
    expected=CHEAPER,
    lacks=LACKS,
    **SAYS,
)
def cheaper(table: pd.DataFrame) -> Estimate | None:
    """Below 1, with the inverse."""
    n = TOKENS[0]
    return measured(table, lambda one: one.multiplications(n) / one.multiplications(n, landmarks=False))


@law(
    "largest rms of F_soft − F_gaussian in training over rms F, every token a landmark",
    where="section 3.1",
    expected=ALIKE,
    lacks="runs of architecture=attention with map=soft and map=gaussian, and observe/also=[outputs]",
    across=Joined("architecture.map", "soft", "gaussian"),
    **SAYS,
)
def alike(pairs: pd.DataFrame) -> Estimate | None:
    """Below 0.05, on test patterns, seed by seed."""
    size = [float(np.sqrt(np.square(run.over_time("F_test")[1][-1]).mean())) for run in pairs["run_other"]]
    return average((largest_gap(pairs) / np.array(size)).to_numpy())


@law(
    "initial kernel of softmax-free attention against its limit, in h",
    where="arXiv:2006.14548",
    needs=(KERNEL,),
    expected=AT_START,
    lacks="two widths",
    **SAYS,
)
def against_limit(table: pd.DataFrame) -> Estimate | None:
    """−½, at t = 0: Ŝ is a smooth function of scores, which are of infinite width known."""
    maps = {getattr(run, "config", {}).get("architecture", {}).get("map") for run in table.get("run", ())}
    return start_slope(table, KERNEL) if maps == {"soft"} else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Error of Ŝ against the number of landmarks, of trained networks, for the atlas; the ridge as a dotted line."""
    runs = [found for run in table["run"] if (found := Soft.of(run))]
    each = np.array([one.errors() for one in runs])
    style = look(0)
    axes.plot(runs[0].divisors, each.mean(0), label="Ŝ from landmarks", **style)
    axes.axhline(runs[0].map.ridge, linestyle=":", linewidth=1, color="black", label="ridge")
    axes.axvline(runs[0].net.tokens.number, linestyle="--", linewidth=1, color="gray", label="all tokens")
    axes.set(xscale="log", yscale="log", xlabel="landmarks m", ylabel="‖Ŝ − S‖/‖S‖, trained networks")
    axes.set_xticks(runs[0].divisors, [str(m) for m in runs[0].divisors])
    axes.minorticks_off()
    axes.legend()

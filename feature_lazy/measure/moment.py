"""States of some networks at one moment: what observables ask of them, computed when first asked for, and once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.model import Model
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.settings.groups import Loss

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What stays along a training of M members.

    Attributes:
        flow: the network's gradient flow, with α, f₀ and the loss.
        model: what the weights of a state predict: the network, or its linearisation.
        data: training and test set.
        w0: initial weights, (M, N).
        n_test: test patterns used over time, the first ones.
        seeds: of the initial weights, one for each member; empty where they are not of a configuration.
    """

    flow: NetworkFlow
    model: Model
    data: Dataset
    w0: Tensor
    n_test: int
    seeds: Sequence[int] = ()

    @property
    def loss(self) -> Loss:
        """ℓ."""
        return self.flow.loss

    def before(self, x: Tensor) -> Tensor | None:
        """F of a training before on patterns x (n, d), (M, n·C), where F goes on from it."""
        return None if self.flow.before is None else self.flow.before(x)

    @cached_property
    def before_test(self) -> Tensor | None:
        """The same on the whole test set, (M, P_test·C)."""
        return self.before(self.data.x_test)

    @cached_property
    def before_valid(self) -> Tensor | None:
        """The same on the validation set, (M, P_valid·C); None where there is none too."""
        return None if self.data.x_valid is None else self.before(self.data.x_valid)

    @cached_property
    def f0_test(self) -> Tensor:
        """f(w₀, x) on the whole test set, (M, P_test·C)."""
        return self.f0(self.data.x_test)

    @cached_property
    def f0_valid(self) -> Tensor | None:
        """f(w₀, x) on the validation set, (M, P_valid·C); None where there is none."""
        return None if self.data.x_valid is None else self.f0(self.data.x_valid)

    def f0(self, x: Tensor) -> Tensor:
        """f(w₀, x) of all members on patterns x (n, d), (M, n·C)."""
        return self.model.f(self.w0, torch.arange(len(self.w0), device=self.w0.device), x)


class Moment:
    """States of M members, whose first axis all that is asked of a moment has.

    Attributes:
        setting: what stays: data, loss, model, flow.
        member: of each state, (M,).
        weights: w, (M, N).
        t: training time, (M,).
        failed: whether training ended with numbers that are not finite.
        told: what the dynamics says of each state beside its weights, (M,) by column; nothing of stored weights.
    """

    def __init__(
        self,
        setting: Setting,
        member: Tensor,
        weights: Tensor,
        t: Tensor,
        *,
        failed: bool = False,
        told: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Name the states; nothing is computed yet."""
        self.setting, self.member, self.t, self.failed, self.told = setting, member, t, failed, told or {}
        self.weights = setting.flow.architecture.layout.kept(weights, setting.w0[member])
        self._kept: dict[tuple[object, ...], tuple[Tensor, Any]] = {}

    @classmethod
    def first(cls, setting: Setting) -> "Moment":
        """All members at t = 0."""
        w0 = setting.w0
        return cls(setting, torch.arange(len(w0), device=w0.device), w0, w0.new_zeros(len(w0)))

    def __len__(self) -> int:
        """Number of states."""
        return len(self.member)

    def select(self, rows: Tensor) -> "Moment":
        """The moment of some states, (M,) bool, with what has been computed of them."""
        told = {name: value[rows] for name, value in self.told.items()}
        part = Moment(self.setting, self.member[rows], self.weights[rows], self.t[rows], failed=self.failed, told=told)
        part._kept = {where: (x, _rows(value, rows)) for where, (x, value) in self._kept.items()}
        kept = {
            name: value for name, value in vars(self).items() if isinstance(vars(Moment).get(name), cached_property)
        }
        vars(part).update({name: None if value is None else value[rows] for name, value in kept.items()})
        return part

    @cached_property
    def w0(self) -> Tensor:
        """Initial weights, (M, N)."""
        return self.setting.w0[self.member]

    @cached_property
    def alpha(self) -> Tensor:
        """α, (M,)."""
        return self.setting.flow.alpha[self.member]

    @property
    def y_train(self) -> Tensor:
        """Labels of the training set, (P,)."""
        return self.setting.data.y_train

    @property
    def y_test(self) -> Tensor:
        """Labels of the test patterns used over time, (n,)."""
        return self.setting.data.y_test[: self.setting.n_test]

    @cached_property
    def f0_train(self) -> Tensor:
        """f(w₀, x) on the training set, (M, P·C)."""
        return self.setting.flow.initial[self.member]

    @cached_property
    def f0_test(self) -> Tensor:
        """f(w₀, x) on the test patterns used over time, (M, n·C)."""
        return self.setting.f0_test[self.member, : self.setting.n_test * self.setting.data.n_outputs]

    @cached_property
    def f0_test_whole(self) -> Tensor:
        """f(w₀, x) on the whole test set, (M, P_test·C)."""
        return self.setting.f0_test[self.member]

    @cached_property
    def f_train(self) -> Tensor:
        """f(w, x) on the training set, (M, P·C)."""
        return self.f(self.setting.data.x_train, self.f0_train)

    @cached_property
    def f_test(self) -> Tensor:
        """f(w, x) on the test patterns used over time, (M, n·C)."""
        return self.f(self.setting.data.x_test[: self.setting.n_test], self.f0_test)

    @cached_property
    def f_test_whole(self) -> Tensor:
        """f(w, x) on the whole test set, (M, P_test·C)."""
        if self.setting.n_test >= len(self.setting.data.x_test):
            return self.f_test
        return self.f(self.setting.data.x_test, self.f0_test_whole)

    @cached_property
    def F_train(self) -> Tensor:  # noqa: N802 - as the article has it
        """F = α(f − f₀), or αf where F is not centred, on the training set, (M, P·C) (eq. 6)."""
        return self.predictor(self.f_train, self.f0_train, self.setting.flow.offset)

    @cached_property
    def F_test(self) -> Tensor:  # noqa: N802 - as the article has it
        """F on the test patterns used over time, (M, n·C)."""
        return self.predictor(self.f_test, self.f0_test, self.setting.before_test)

    @cached_property
    def F_valid(self) -> Tensor | None:  # noqa: N802 - as the article has it
        """F on the validation set, (M, P_valid·C); None where there is none."""
        x, f0 = self.setting.data.x_valid, self.setting.f0_valid
        if x is None or f0 is None:
            return None
        return self.predictor(self.f(x, f0[self.member]), f0[self.member], self.setting.before_valid)

    @cached_property
    def F_test_whole(self) -> Tensor:  # noqa: N802 - as the article has it
        """F on the whole test set, (M, P_test·C)."""
        return self.predictor(self.f_test_whole, self.f0_test_whole, self.setting.before_test)

    @cached_property
    def velocity(self) -> Tensor:
        """−∇𝓛 of the network at the weights, (M, N) (eq. 7)."""
        return self.setting.flow.evaluate(self.weights, self.member)[0]

    def probe(self, patterns: int) -> Tensor:
        """The first test patterns, (n, d)."""
        return self.setting.data.x_test[:patterns]

    def f(self, x: Tensor, f0: Tensor | None = None) -> Tensor:
        """Outputs on any patterns x (n, d): (M, n·C); ``f0`` is those of the initial weights, if they are known."""
        return self.setting.model.f(self.weights, self.member, x, f0)

    def predictor(self, f: Tensor, f0: Tensor, before: Tensor | None = None) -> Tensor:
        """F of outputs f and f₀, (M, n·C), and of what was before, (M, ≥ n·C), if anything was."""
        F = self.alpha[:, None] * (f - f0 if self.setting.flow.centred else f)  # noqa: N806 - as the article has it
        return F if before is None else F + before[self.member, : F.shape[1]]

    def kernel(self, x: Tensor) -> Tensor:
        """Θ on patterns x (n, d), (M, n·C, n·C) (eq. 5)."""
        return self._once("kernel", x, lambda: self.setting.model.kernel(self.weights, self.member, x))

    def layer_kernels(self, x: Tensor) -> dict[str, Tensor]:
        """The part of each weight in Θ, by name, (M, n·C, n·C) each."""
        return self._once("layers", x, lambda: self.setting.model.layer_kernels(self.weights, self.member, x))

    def eigenvalues(self, x: Tensor) -> Tensor:
        """All eigenvalues of Θ on patterns x, descending, (M, n·C); NaN of a member that has diverged."""

        def compute() -> Tensor:
            from feature_lazy.kernels.spectrum import spectrum

            theta = self.kernel(x)
            found = theta.new_full(theta.shape[:2], torch.nan)
            finite = theta.isfinite().all(dim=(1, 2))
            found[finite] = spectrum(theta[finite])
            return found

        return self._once("eigenvalues", x, compute)

    def curvature(self, patterns: int, *, of: str = "train", noise: float = 0.0) -> Curvature:
        """Curvature of 𝓛 on the first patterns of the training set, or of the ``test`` set (``kernels.curvature``).

        With ``noise`` N(0, noise²) is added to each number of a pattern, the same for all members and moments.
        """
        setting, flow = self.setting, self.setting.flow
        data = setting.data
        x, y = (data.x_train, data.y_train) if of == "train" else (data.x_test, data.y_test)
        x, y = x[:patterns], y[:patterns]
        if noise:
            x = x + noise * torch.from_numpy(stream(0, "noisy patterns").standard_normal(x.shape)).to(x)
            f0 = self._offset(setting.f0(x), setting.before(x))
        elif of == "train":
            f0 = flow.f0[self.member]
        else:
            f0 = self._offset(setting.f0_test, setting.before_test)
        f0 = f0[:, : len(x) * flow.n_outputs]
        limit = setting.model.memory_limit
        return Curvature(flow.architecture, self.weights, x, y, setting.loss, self.alpha, f0, limit)

    def _offset(self, first: Tensor, before: Tensor | None) -> Tensor:
        """What is taken off f on patterns where all members have f(w₀) and, perhaps, F of a training before."""
        f0 = first[self.member] * self.setting.flow.centred
        return f0 if before is None else f0 - before[self.member] / self.alpha[:, None]

    def _once(self, what: str, x: Tensor, compute: Callable[[], T]) -> T:
        """What is computed of some patterns, known by where they lie in memory: the first n are the same each time."""
        where = (what, x.data_ptr(), x.shape, x.stride())
        if where not in self._kept:
            self._kept[where] = (x, compute())  # x too: its memory must not become another's
        return self._kept[where][1]


def _rows(kept: Any, rows: Tensor) -> Any:
    return {name: part[rows] for name, part in kept.items()} if isinstance(kept, dict) else kept[rows]

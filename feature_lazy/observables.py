"""What is measured along a run (spec §4): pure functions of weights, named ``group/name``. Nothing here writes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from feature_lazy.architectures.base import Architecture
from feature_lazy.datasets.prepare import Dataset
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.kernels import describe, relative_change, tangent_kernel
from feature_lazy.losses import Loss

Scalars = dict[str, Tensor]
"""Observables by name, each (k,): one value for each observed state."""


def fit(predictor: Tensor, labels: Tensor, loss: Loss) -> Scalars:
    """How well F (k, P) fits y (P,).

    ``loss`` = α²𝓛 = mean ℓ; ``error`` = fraction with F·y ≤ 0; ``margin_min``, ``margin_median``, ``margin_max``
    of F·y; ``unfit`` = number with F·y < 1.
    """
    margins = predictor * labels
    return {
        "loss": loss(predictor, labels).mean(1),
        "error": (margins <= 0).double().mean(1),
        "margin_min": margins.amin(1),
        "margin_median": margins.quantile(0.5, dim=1),
        "margin_max": margins.amax(1),
        "unfit": (margins < 1).double().sum(1),
    }


def rms(values: Tensor) -> Tensor:
    """‖g‖ = (mean over the set of g²)^½ (eq. 31): (k, P) → (k,)."""
    return values.square().mean(1).sqrt()


def output_norms(f: Tensor, f0: Tensor, alpha: Tensor) -> Scalars:
    """‖f‖, ‖f − f₀‖ and α‖f − f₀‖ (eq. 31) for f, f₀ (k, P) and α (k,)."""
    change = rms(f - f0)
    return {"f_rms": rms(f), "df_rms": change, "alpha_df_rms": alpha * change}


def weight_change(architecture: Architecture, w: Tensor, w0: Tensor) -> Scalars:
    """‖w‖, ‖w − w₀‖/‖w₀‖ in total and, as ``W0/change`` and so on, for each layer, for w, w₀ (k, N)."""

    def change(now: Tensor, then: Tensor) -> Tensor:
        return (now - then).flatten(1).norm(dim=1) / then.flatten(1).norm(dim=1)

    now, then = architecture.layout.unflatten(w), architecture.layout.unflatten(w0)
    layers = {f"{name}/change": change(now[name], then[name]) for name in now}
    return {"norm": w.norm(dim=1), "change": change(w, w0), **layers}


def prefixed(group: str, scalars: Mapping[str, Tensor]) -> Scalars:
    """The same scalars as ``group/name``."""
    return {f"{group}/{name}": value for name, value in scalars.items()}


class Observer:
    """Knows a batch's data and initial state, so that a state (member, w) is enough to observe.

    Attributes:
        f0_test: f(w₀, x) on the whole test set, (M, P_test).
    """

    def __init__(
        self,
        architecture: Architecture,
        dataset: Dataset,
        loss: Loss,
        *,
        alpha: Tensor,
        w0: Tensor,
        n_test: int,
        probe: int,
        memory_limit: float,
    ) -> None:
        """Fix data and initial state.

        Args:
            architecture: the network f.
            dataset: training and test set.
            loss: ℓ.
            alpha: α of each member, (M,).
            w0: initial weights, (M, N).
            n_test: test patterns used over time, the first ones.
            probe: test patterns of the kernel's probe set, the first ones; 0 for none.
            memory_limit: bytes for one chunk of patterns or block of a kernel.
        """
        self.architecture, self.dataset, self.loss = architecture, dataset, loss
        self.alpha, self.w0, self.memory_limit = alpha, w0, memory_limit
        self.n_test = min(n_test, len(dataset.x_test))
        self.f0_train = self._f(w0, dataset.x_train)
        self.f0_test = self._f(w0, dataset.x_test)
        self.probe = slice(0, probe)
        self.theta0 = self.kernel(w0, dataset.x_test[self.probe]) if probe else None

    def _f(self, w: Tensor, x: Tensor) -> Tensor:
        return outputs_in_chunks(self.architecture, w, x, self.memory_limit)

    def kernel(self, w: Tensor, x: Tensor) -> Tensor:
        """Θ on patterns x (P, d) for weights w (k, N): (k, P, P) (eq. 5)."""
        params = self.architecture.layout.unflatten(w)
        return tangent_kernel(self.architecture, params, x, memory_limit=self.memory_limit)

    @torch.no_grad()
    def observe(self, member: Tensor, w: Tensor) -> Scalars:
        """All observables over time of the states w (k, N) of members (k,); the test set cut to ``n_test``."""
        data, alpha = self.dataset, self.alpha[member]
        f0_train, f0_test = self.f0_train[member], self.f0_test[member, : self.n_test]
        f_train, f_test = self._f(w, data.x_train), self._f(w, data.x_test[: self.n_test])
        scalars = {
            **prefixed("train", fit(alpha[:, None] * (f_train - f0_train), data.y_train, self.loss)),
            **prefixed("test", fit(alpha[:, None] * (f_test - f0_test), data.y_test[: self.n_test], self.loss)),
            **prefixed("output", output_norms(f_test, f0_test, alpha)),
            **prefixed("output/train", output_norms(f_train, f0_train, alpha)),
            **prefixed("weights", weight_change(self.architecture, w, self.w0[member])),
        }
        if self.theta0 is not None:
            theta = self.kernel(w, data.x_test[self.probe])
            scalars["kernel/change"] = relative_change(theta, self.theta0[member])
            scalars |= prefixed("kernel", describe(theta, data.y_test[self.probe]))
        return scalars

    @torch.no_grad()
    def predictors(self, member: Tensor, w: Tensor) -> dict[str, Tensor]:
        """F, f₀ and y on the whole train and test sets, each (k, patterns), for members (k,) in states w (k, N)."""
        labels = {"train": self.dataset.y_train, "test": self.dataset.y_test}
        f0 = {"train": self.f0_train[member], "test": self.f0_test[member]}
        x = {"train": self.dataset.x_train, "test": self.dataset.x_test}
        alpha = self.alpha[member, None]
        outputs = {f"F_{name}": alpha * (self._f(w, x[name]) - f0[name]) for name in x}
        initial = {f"f0_{name}": f0[name] for name in x}
        return outputs | initial | {f"y_{name}": y.expand(len(member), -1) for name, y in labels.items()}

    @torch.no_grad()
    def final(self, member: Tensor, w: Tensor, *, kernels: bool) -> tuple[Scalars, dict[str, Tensor]]:
        """What is measured once, at the end of one member: (1,) and (1, N).

        Returns:
            Fit on the whole test set, and with ``kernels`` the kernel change on the whole train and test sets; and
            the predictors behind it.
        """
        outputs = self.predictors(member, w)
        scalars = prefixed("test", fit(outputs["F_test"], self.dataset.y_test, self.loss))
        if kernels:
            for name, x in (("train", self.dataset.x_train), ("test", self.dataset.x_test)):
                theta0 = self.kernel(self.w0[member], x)
                scalars[f"kernel/change_{name}"] = relative_change(self.kernel(w, x), theta0)
        return scalars, outputs

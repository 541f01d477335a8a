"""What is measured along a run: pure functions of weights, named ``group/name``. Nothing here writes."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from feature_lazy.core.margins import margins
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.model import Model, NetworkModel, kernel_change
from feature_lazy.measure.probe import KernelCadence, KernelProbe, Scalars
from feature_lazy.networks.base import Layered
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.preactivations import layer_speeds
from feature_lazy.settings.groups import Loss


def fit(predictor: Tensor, labels: Tensor, loss: Loss) -> Scalars:
    """How well F (k, P·C) fits y (P,).

    ``loss`` = α²𝓛 = mean ℓ; ``error`` = fraction with margin m ≤ 0, which for classes says that F_y is not the only
    largest; ``margin_min``, ``margin_median``, ``margin_max`` of m; ``unfit`` = number with m < 1.
    """
    m = margins(predictor, labels)
    return {
        "loss": loss(predictor, labels).mean(1),
        "error": (m <= 0).double().mean(1),
        "margin_min": m.amin(1),
        "margin_median": m.quantile(0.5, dim=1),
        "margin_max": m.amax(1),
        "unfit": (m < 1).double().sum(1),
    }


def rms(values: Tensor) -> Tensor:
    """‖g‖ = (mean over the set, and over outputs, of g²)^½ (eq. 31): (k, P·C) → (k,)."""
    return values.square().mean(1).sqrt()


def output_norms(f: Tensor, f0: Tensor, alpha: Tensor) -> Scalars:
    """‖f‖, ‖f − f₀‖ and α‖f − f₀‖ (eq. 31) for f, f₀ (k, P·C) and α (k,)."""
    change = rms(f - f0)
    return {"f_rms": rms(f), "df_rms": change, "alpha_df_rms": alpha * change}


def weight_change(layout: Layout, w: Tensor, w0: Tensor) -> Scalars:
    """‖w‖, ‖w − w₀‖/‖w₀‖ in total and, as ``W0/change`` and so on, for each layer, for w, w₀ (k, N).

    A weight that begins at 0, such as a bias, changes in units of one that begins as N(0, 1): by ‖w‖/√(its size).
    """

    def change(now: Tensor, then: Tensor) -> Tensor:
        before = then.flatten(1).norm(dim=1)
        unit = before.masked_fill(before == 0, math.sqrt(then[0].numel()))
        return (now - then).flatten(1).norm(dim=1) / unit

    now, then = layout.unflatten(w), layout.unflatten(w0)
    layers = {f"{name}/change": change(now[name], then[name]) for name in now}
    return {"norm": w.norm(dim=1), "change": change(w, w0), **layers}


def prefixed(group: str, scalars: Mapping[str, Tensor]) -> Scalars:
    """The same scalars as ``group/name``."""
    return {f"{group}/{name}": value for name, value in scalars.items()}


class Observer:
    """Knows a batch's data and initial state, so that a state (member, w) is enough to observe.

    Attributes:
        f0_test: f(w₀, x) on the whole test set, (M, P_test·C).
    """

    def __init__(
        self,
        model: Model,
        layout: Layout,
        dataset: Dataset,
        loss: Loss,
        *,
        alpha: Tensor,
        w0: Tensor,
        n_test: int,
        kernel: KernelCadence,
        centred: bool = True,
    ) -> None:
        """Fix data and initial state.

        Args:
            model: f and its kernel.
            layout: names and shapes of the weights.
            dataset: training and test set.
            loss: ℓ.
            alpha: α of each member, (M,).
            w0: initial weights, (M, N).
            n_test: test patterns used over time, the first ones.
            kernel: what is recorded of the kernel over time.
            centred: whether F = α(f − f₀); else F = αf.
        """
        self.model, self.layout, self.dataset, self.loss = model, layout, dataset, loss
        self.alpha, self.w0, self.centred = alpha, w0, centred
        self.n_test = min(n_test, len(dataset.x_test))
        everyone = torch.arange(len(w0), device=w0.device)
        self.f0_train = model.f(w0, everyone, dataset.x_train)
        self.f0_test = model.f(w0, everyone, dataset.x_test)
        x, y = dataset.x_test[: kernel.patterns], dataset.y_test[: kernel.patterns]
        self.probe = KernelProbe(model, x, y, w0, kernel) if kernel.patterns else None

    @torch.no_grad()
    def observe(self, member: Tensor, w: Tensor, due: Tensor | None = None) -> Scalars:
        """All observables over time of the states w (k, N) of members (k,); the test set cut to ``n_test``.

        Args:
            member: of each state, (k,).
            w: weights, (k, N).
            due: whose kernel is observed, (k,) bool; that of all if omitted. The others' is NaN, or absent if none is.
        """
        data, alpha = self.dataset, self.alpha[member]
        f0_train, f0_test = self.f0_train[member], self.f0_test[member, : self.n_test * data.n_outputs]
        f_train = self.model.f(w, member, data.x_train)
        f_test = self.model.f(w, member, data.x_test[: self.n_test])
        scalars = {
            **prefixed("train", fit(self._predictor(f_train, f0_train, alpha), data.y_train, self.loss)),
            **prefixed("test", fit(self._predictor(f_test, f0_test, alpha), data.y_test[: self.n_test], self.loss)),
            **prefixed("output", output_norms(f_test, f0_test, alpha)),
            **prefixed("output/train", output_norms(f_train, f0_train, alpha)),
            **prefixed("weights", weight_change(self.layout, w, self.w0[member])),
        }
        due = torch.ones_like(member, dtype=torch.bool) if due is None else due
        if self.probe is not None and due.any():
            for name, values in prefixed("kernel", self.probe.observe(w[due], member[due])).items():
                scalars[name] = values.new_full((len(member),), torch.nan).masked_scatter(due, values)
        return scalars

    @torch.no_grad()
    def predictors(self, member: Tensor, w: Tensor) -> dict[str, Tensor]:
        """F, f₀ and y on the whole train and test sets, for members (k,) in states w (k, N): (k, P·C) and (k, P)."""
        labels = {"train": self.dataset.y_train, "test": self.dataset.y_test}
        f0 = {"train": self.f0_train[member], "test": self.f0_test[member]}
        x = {"train": self.dataset.x_train, "test": self.dataset.x_test}
        alpha = self.alpha[member]
        outputs = {f"F_{name}": self._predictor(self.model.f(w, member, x[name]), f0[name], alpha) for name in x}
        initial = {f"f0_{name}": f0[name] for name in x}
        return outputs | initial | {f"y_{name}": y.expand(len(member), -1) for name, y in labels.items()}

    @torch.no_grad()
    def final(self, member: Tensor, w: Tensor, *, kernels: bool) -> tuple[Scalars, dict[str, Tensor]]:
        """What is measured once, at the end of one member: (1,) and (1, N).

        Returns:
            Fit on the whole test set, preactivations at t = 0 (``layer_speeds``) of a network whose layers are known,
            and with ``kernels`` the kernel change on the whole train and test sets; and the predictors behind it: F and
            f₀ (1, P), or (1, P, C) of several outputs, and y (1, P); with ``matrices`` Θ of the probe set at the start
            and at the end, ``theta_start`` and ``theta_end`` (1, P·C, P·C).
        """
        outputs = self.predictors(member, w)
        scalars = prefixed("test", fit(outputs["F_test"], self.dataset.y_test, self.loss)) | self._at_start(member)
        if kernels:
            for name, x in (("train", self.dataset.x_train), ("test", self.dataset.x_test)):
                scalars[f"kernel/change_{name}"] = kernel_change(self.model, w, self.w0[member], member, x)
        return scalars, {n: self._by_pattern(n, values) for n, values in outputs.items()} | self._matrices(member, w)

    def _matrices(self, member: Tensor, w: Tensor) -> dict[str, Tensor]:
        if self.probe is None or not self.probe.cadence.matrices:
            return {}
        end = self.model.kernel(w, member, self.probe.x)
        return {"theta_start": self.probe.theta0[member], "theta_end": end}

    def _at_start(self, member: Tensor) -> Scalars:
        """Preactivations of the initial weights, and their speed under gradient flow (App. D, Fig. 11)."""
        if not (isinstance(self.model, NetworkModel) and isinstance(self.model.architecture, Layered)):
            return {}
        net, limit, w0, data = self.model.architecture, self.model.memory_limit, self.w0[member], self.dataset
        alpha = self.alpha[member]
        flow = NetworkFlow(
            net, data.x_train, data.y_train, self.loss, alpha=alpha, w0=w0, memory_limit=limit, centred=self.centred
        )
        velocity, _ = flow.evaluate(w0, torch.arange(len(w0), device=w0.device))
        return prefixed("preactivations", layer_speeds(net, w0, velocity, data.x_test[: self.n_test], limit))

    def _predictor(self, f: Tensor, f0: Tensor, alpha: Tensor) -> Tensor:
        """F = α(f − f₀), or αf, for f and f₀ (k, P·C) and α (k,)."""
        return alpha[:, None] * (f - f0 if self.centred else f)

    def _by_pattern(self, name: str, values: Tensor) -> Tensor:
        """Several outputs in an axis of their own, (k, P·C) → (k, P, C); one output and labels as they are."""
        c = self.dataset.n_outputs
        return values if c == 1 or name.startswith("y_") else values.unflatten(1, (-1, c))

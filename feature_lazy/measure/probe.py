"""The tangent kernel on a few test patterns along a run: how it changes, in total and by weight, and its shape."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.model import Model
from feature_lazy.kernels import describe, relative_change, spectrum

Scalars = dict[str, Tensor]
"""Observables by name, each (k,): one value for each observed state."""


@dataclass(frozen=True)
class KernelCadence:
    """What is recorded of the kernel over time, and how often.

    Attributes:
        patterns: test patterns of the probe set, the first ones; 0 for none.
        every: at every how many observations, the first and the last always.
        layers: whether each weight's part of the kernel is followed too.
        eigenvalues: how many of the largest are recorded.
        matrices: whether Θ at the start and at the end is stored.
    """

    patterns: int = 128
    every: int = 1
    layers: bool = False
    eigenvalues: int = 0
    matrices: bool = False


class KernelProbe:
    """Knows Θ₀ on the probe set, so that a state (member, w) is enough to observe."""

    def __init__(self, model: Model, x: Tensor, y: Tensor, w0: Tensor, cadence: KernelCadence) -> None:
        """Compute the kernel of the initial weights.

        Args:
            model: gives the kernel.
            x: probe patterns (P, d).
            y: their labels, (P,).
            w0: initial weights of each member, (M, N).
            cadence: what to record.
        """
        self.model, self.x, self.y, self.cadence = model, x, y, cadence
        everyone = torch.arange(len(w0), device=w0.device)
        self.theta0 = model.kernel(w0, everyone, x)
        self.parts0 = model.layer_kernels(w0, everyone, x) if cadence.layers else {}

    def observe(self, w: Tensor, member: Tensor) -> Scalars:
        """Scalars of Θ at weights w (k, N) of members (k,).

        ``change`` = ‖Θ − Θ₀‖_F/‖Θ₀‖_F (Fig. 5a), what ``describe`` gives, ``eigenvalue_1`` … in descending order, and
        of the part Θ_l of each weight ``W0/change`` and ``W0/share`` = tr Θ_l/tr Θ.
        """
        theta = self.model.kernel(w, member, self.x)
        scalars = {"change": relative_change(theta, self.theta0[member]), **describe(theta, self.y)}
        for name, part in (self.model.layer_kernels(w, member, self.x) if self.parts0 else {}).items():
            scalars[f"{name}/change"] = relative_change(part, self.parts0[name][member])
            scalars[f"{name}/share"] = part.diagonal(dim1=1, dim2=2).sum(1) / scalars["trace"]
        if k := self.cadence.eigenvalues:
            largest = theta.new_full((len(theta), k), torch.nan)
            finite = theta.isfinite().all(dim=(1, 2))
            largest[finite] = spectrum(theta[finite])[:, :k]
            scalars |= {f"eigenvalue_{i + 1}": largest[:, i] for i in range(k)}
        return scalars

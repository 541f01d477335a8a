"""Observables of M-FAC: how exact and how costly a product with an inverse Fisher matrix is, and what it prunes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.margins import margins
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

ERROR, FLOPS = "inverse_fisher/error", "inverse_fisher/flops"
MAGNITUDE, OBS = "pruning/magnitude_error_", "pruning/obs_error_"
"""Columns, before the percentage of weights that are gone."""
MOST = 3000
"""Weights of which an N × N matrix is inverted."""
THEME = "Fisher"
SOURCE = "arXiv:2107.03356"


@option("observe/also", "inverse_fisher")
class InverseFisher(Observable):
    """The product of (E + λ)⁻¹ and ∇𝓛 at the end of training, E the empirical Fisher matrix of some patterns.

    ``error`` is its distance to that by an N × N matrix, relative; ``flops`` counts the operations of its products of
    matrices as they are done.
    """

    gradients: int = key(32, "m, patterns of which E is made: the first ones", ge=1, at_most="dataset.n_train")
    damping: float = key(1e-3, "λ, over the mean of |g|²", gt=0)

    by_surrogate = False
    quantities: ClassVar[Any] = {
        ERROR: Quantity("error of a product with the inverse Fisher matrix", where=SOURCE, theme=THEME),
        FLOPS: Quantity("operations of a product with the inverse Fisher matrix", where=SOURCE, theme=THEME),
    }

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: too many weights for an N × N matrix.
        """
        if (n := moment.weights.shape[1]) > MOST:
            raise ConfigError(
                f"observe/also=[{self.kind}]: inverts an N × N matrix, for up to {MOST} weights, not {n}."
            )

    def end(self, moment: Moment) -> dict[str, Tensor]:
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from feature_lazy.kernels.inverse_fisher import inverse_fisher_product, mean_square

        g, x = pattern_gradients(moment, self.gradients), -moment.velocity.double()
        damping = self.damping * mean_square(g)
        with FlopCounterMode(display=False) as counted:
            found = inverse_fisher_product(g, damping, x)
        dense = g.mT @ g / self.gradients
        dense.diagonal(dim1=1, dim2=2).add_(damping[:, None])
        exact = torch.linalg.solve_ex(dense, x[..., None])[0][..., 0]
        error = (found - exact).norm(dim=1) / exact.norm(dim=1)
        return {ERROR: error, FLOPS: torch.full_like(error, counted.get_total_flops() / len(moment))}


@option("observe/also", "pruning")
class Pruning(Observable):
    """Test error after a share of the weights is set to 0 at the end of training: by their magnitude, and by OBS.

    The optimal brain surgeon takes those with the least w²/(2[F⁻¹]_ii), F the empirical Fisher matrix, and moves the
    others to where 𝓛 rises least to second order with F for its Hessian (Frantar, Kurtic and Alistarh 2021, section
    3.1); for one weight that is −wF⁻¹e_i/[F⁻¹]_ii. Of all layers together, biases apart, without training again. F is
    made anew ``steps`` times on the way from each share to the next.
    """

    shares: list[float] = key([0.5, 0.7, 0.8, 0.9], "shares of the weights that are set to 0, below 1", gt=0)
    steps: int = key(1, "how many times F is made from one share to the next", ge=1)
    gradients: int = key(200, "m, patterns of which F is made: the first ones", ge=1, at_most="dataset.n_train")
    damping: float = key(1e-4, "λ, over the mean of |g|²", gt=0)

    by_surrogate = False
    quantities: ClassVar[Any] = {
        f"{MAGNITUDE}*": Quantity("test error, pruned by magnitude", scale="percent", where=SOURCE, theme=THEME),
        f"{OBS}*": Quantity("test error, pruned by OBS", scale="percent", where=SOURCE, theme=THEME),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["centred=false", "observe.also.pruning.gradients=6"]

    def problems(self, config: Config) -> Iterator[str]:
        from feature_lazy.dynamics.flows import FrozenKernelOption

        own = "observe/also=[pruning]"
        if config.centred is not False:
            yield f"{own}: F = α(f − f₀) has all weights of f₀ in it, pruned or not; use centred=false."
        if isinstance(config.dynamics, FrozenKernelOption):
            yield f"{own}: with dynamics={config.dynamics.kind} no weight is of a network of its own; leave it out."
        if max(self.shares, default=0) >= 1:
            yield f"observe.also.pruning.shares={self.shares}: must be below 1; at 1 there is no network."

    def end(self, moment: Moment) -> dict[str, Tensor]:
        free = prunable(moment)
        total, found, surgeon, before = int(free.sum()), {}, moment, 0.0
        for share in sorted(self.shares):
            size = moment.weights.abs().masked_fill(~free, float("inf"))
            plain = at(moment, moment.weights.masked_fill(least(size, round(share * total)), 0))
            for kept in np.geomspace(1 - before, 1 - share, self.steps + 1)[1:]:
                surgeon = at(moment, self._without(surgeon, free, round((1 - kept) * total)))
            for column, pruned in ((MAGNITUDE, plain), (OBS, surgeon)):
                m = margins(pruned.F_test_whole, moment.setting.data.y_test)
                wrong = (m <= 0).double().mean(1)
                found[f"{column}{100 * share:g}"] = wrong.masked_fill(~m.isfinite().all(1), float("nan"))
            before = share
        return found

    def _without(self, moment: Moment, free: Tensor, count: int) -> Tensor:
        """Weights of which so many of the free ones are 0, by OBS, (M, N)."""
        from feature_lazy.kernels.inverse_fisher import inverse_fisher_diagonal, mean_square

        g, w = pattern_gradients(moment, self.gradients), moment.weights.double()
        damping = self.damping * mean_square(g)
        saliency = (w.square() / inverse_fisher_diagonal(g, damping)).masked_fill(~free, float("inf"))
        return surgery(w, least(saliency, count), g, damping).to(moment.weights)


def pattern_gradients(moment: Moment, patterns: int) -> Tensor:
    """α∇𝓛 of each of the first training patterns by itself, without a regulariser: (M, m, N) of float64."""
    import torch

    flow, members = moment.setting.flow, len(moment.member)
    first = torch.arange(patterns, device=moment.weights.device)
    one = flow.restricted(moment.member.repeat_interleave(patterns), first.repeat(members)[:, None])
    rows = torch.arange(members * patterns, device=moment.weights.device)
    tangent = one.linearise(moment.weights.repeat_interleave(patterns, dim=0), rows)
    pulled = tangent.linear.pull_back(-flow.n_train * one.force(rows).push(tangent.outputs))
    return pulled.unflatten(0, (members, patterns)).double()


def prunable(moment: Moment) -> Tensor:
    """Which weights may be set to 0, (N,) bool: those that are trained and no biases."""
    import torch

    layout = moment.setting.flow.architecture.layout
    named = zip(layout.shapes.items(), layout.sizes, strict=True)
    parts = [torch.full((size,), name not in layout.fixed and len(shape) > 1) for (name, shape), size in named]
    return torch.cat(parts).to(moment.weights.device)


def at(moment: Moment, w: Tensor) -> Moment:
    """The same moment at other weights (M, N)."""
    return type(moment)(moment.setting, moment.member, w, moment.t)


def least(values: Tensor, count: int) -> Tensor:
    """Where the smallest of values (M, N) are, so many of each row: (M, N) bool."""
    import torch

    places = values.topk(count, largest=False).indices
    return torch.zeros_like(values, dtype=torch.bool).scatter(1, places, value=True)


def surgery(w: Tensor, gone: Tensor, gradients: Tensor, damping: Tensor) -> Tensor:
    """Weights w (M, N) of which some (M, N) bool are 0, and the others where ½δᵀFδ is least for that: (M, N).

    δ_K = F_KK⁻¹F_KS w_S of what is kept and what is gone, F_KS = G_KᵀG_S/m: one product with an inverse Fisher matrix.
    """
    from feature_lazy.kernels.inverse_fisher import inverse_fisher_product

    kept = gradients.masked_fill(gone[:, None], 0)
    along = gradients @ w.masked_fill(~gone, 0)[..., None] / gradients.shape[1]
    moved = w + inverse_fisher_product(kept, damping, (kept.mT @ along)[..., 0])
    return moved.masked_fill(gone, 0)

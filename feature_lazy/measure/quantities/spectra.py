"""Observable ``spectra``: the singular values of the weights of each layer, and the tail of their squares."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from feature_lazy.measure.quantities import WEIGHTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment

log = logging.getLogger(__name__)
SMALLEST = 50
"""Eigenvalues below which a tail says nothing: its exponent has an error of (α − 1)/√n."""


@option("observe/also", "spectra")
class Spectra(Observable):
    """Singular values s of W/√fan-in of each weight matrix, its stable rank Σs²/s₁², and the tail λ^(−α) of λ = s².

    α = 1 + n/Σ ln(λ_i/λ_min) over the n largest λ, with λ_min of least Kolmogorov–Smirnov distance (Clauset, Shalizi
    and Newman 2009; Martin and Hinrichs, arXiv:2507.17912): about 8 at a Gaussian start, which is no tail (distance
    above 0.1), 2 to 6 where one has been learnt. Beside it where the trace-log condition ends the tail, α·log₁₀ λ₁ and
    log₁₀ λ₁; these λ are of the effective matrix, with all factors of the layer and of the activation before it, where
    a network shows its layers. NaN for matrices with fewer than 50 singular values.
    """

    top: int = key(3, "how many of the largest singular values", ge=1)

    quantities: ClassVar[Any] = {
        "spectra/*/singular_*": Quantity("singular value of W/√fan-in", theme=WEIGHTS),
        "spectra/*/stable_rank": Quantity("stable rank Σs²/s₁²", scale="linear", theme=WEIGHTS),
        "spectra/*/alpha": Quantity("exponent α of the tail", scale="linear", where="arXiv:2507.17912", theme=WEIGHTS),
        "spectra/*/ks": Quantity("distance of the tail from a power law", where="arXiv:2507.17912", theme=WEIGHTS),
        "spectra/*/alpha_hat": Quantity("α·log₁₀ λ₁", scale="linear", where="arXiv:2507.17912", theme=WEIGHTS),
        "spectra/*/lambda_min": Quantity("where the tail begins", where="arXiv:2507.17912", theme=WEIGHTS),
        "spectra/*/erg_lambda_min": Quantity(
            "where the tail with Πλ/⟨λ⟩ = 1 begins", where="arXiv:2507.17912", theme=WEIGHTS
        ),
        "spectra/*/log_spectral_norm": Quantity("log₁₀ λ₁", scale="linear", where="arXiv:2507.17912", theme=WEIGHTS),
    }

    def begin(self, moment: Moment) -> None:
        """Keep what the effective matrix is over W/√fan-in, by layer; say which layers are too small for a tail."""
        self._factors = factors(moment)
        shapes = {name: s.shape[1] for name, s in singular_values(moment)}
        if small := [name for name, n in shapes.items() if n < SMALLEST]:
            log.warning(
                "observe/also=[spectra]: %s: fewer than %d singular values, which have no tail; α and what belongs to "
                "it are NaN there. Wider layers have one.",
                ", ".join(small),
                SMALLEST,
            )

    def at(self, moment: Moment) -> dict[str, Tensor]:
        found = {}
        for name, s in singular_values(moment):
            squares = s.double() ** 2
            found |= {f"spectra/{name}/singular_{i + 1}": s[:, i] for i in range(min(self.top, s.shape[1]))}
            found[f"spectra/{name}/stable_rank"] = (squares.sum(1) / squares[:, 0]).to(s)
            found |= {f"spectra/{name}/{column}": values.to(s) for column, values in self._tail(name, squares)}
        return found

    def _tail(self, name: str, squares: Tensor) -> Iterator[tuple[str, Tensor]]:
        best, scale = tail(squares), self._factors.get(name, 1.0) ** 2
        known = best.alpha / best.alpha  # NaN where there is no tail
        largest = (squares[:, 0] * scale).log10() * known
        yield from (("alpha", best.alpha), ("ks", best.distance), ("alpha_hat", best.alpha * largest))
        yield from (("lambda_min", best.begin * scale), ("erg_lambda_min", trace_log(squares) * scale * known))
        yield "log_spectral_norm", largest


def factors(moment: Moment) -> dict[str, float]:
    """What the effective matrix of each layer is over W/√fan-in; of a network that shows no layers nothing is known."""
    from feature_lazy.networks.base import Layered

    net = moment.setting.flow.architecture
    if not isinstance(net, Layered):
        return {}
    _, taps = net.taps(net.layout.unflatten(moment.weights[:1]), moment.setting.data.x_train[:1])
    fan_in = {name: layer.fan_in for name, layer in zip(net.layout.shapes, net.layers, strict=True)}
    return {tap.name: tap.scale * fan_in[tap.name] ** 0.5 for tap in taps}


def singular_values(moment: Moment) -> Iterator[tuple[str, Tensor]]:
    """Those of W/√fan-in, descending, (M, n), of each weight with two axes or more; NaN of one that has diverged."""
    import torch

    layout = moment.setting.flow.architecture.layout
    for name, w in layout.unflatten(moment.weights).items():
        if w.dim() >= 3 and min(w.shape[1], w[0, 0].numel()) > 1:
            matrix = w.flatten(2) / w[0, 0].numel() ** 0.5
            finite = matrix.isfinite().all(dim=(1, 2))
            s = matrix.new_full((len(matrix), min(matrix.shape[1:])), torch.nan)
            s[finite] = torch.linalg.svdvals(matrix[finite])
            yield name, s


class Tail(NamedTuple):
    """The tail of a spectrum that is nearest to a power law, of M spectra.

    Attributes:
        alpha: exponent α of p(λ) ~ λ^(−α), (M,); it has no upper limit.
        distance: Kolmogorov–Smirnov distance, (M,).
        begin: λ_min, (M,).
    """

    alpha: Tensor
    distance: Tensor
    begin: Tensor


def tail(squares: Tensor) -> Tail:
    """Of eigenvalues λ (M, n) > 0; NaN of fewer than ``SMALLEST``, and where one is not finite."""
    import torch

    n = squares.shape[1]
    nothing = squares.new_full((len(squares),), torch.nan)
    if n < SMALLEST:
        return Tail(nothing, nothing.clone(), nothing.clone())
    ordered = squares.sort(dim=1).values
    logs = ordered.clamp(min=torch.finfo(squares.dtype).tiny).log()
    # Row i is the tail from the i-th smallest λ on; one of a single λ has no exponent.
    start = torch.arange(n - 1, device=squares.device)
    excess = (logs[:, None, :] - logs[:, start, None]).clamp(min=0)
    inside = torch.arange(n, device=squares.device) >= start[:, None]
    count = (n - start).to(squares)
    alpha = 1 + count / (excess * inside).sum(2)
    model = -torch.expm1(-(alpha[..., None] - 1) * excess)
    place = (torch.arange(n, device=squares.device) - start[:, None]).to(squares)
    above, below = (place + 1) / count[:, None], place / count[:, None]
    distance = torch.maximum((above - model).abs(), (model - below).abs()).masked_fill(~inside, 0).amax(2)
    distance = distance.nan_to_num(nan=torch.inf)
    best = distance.argmin(1, keepdim=True)
    finite = squares.isfinite().all(1)
    return Tail(*(torch.where(finite, one.gather(1, best)[:, 0], nothing) for one in (alpha, distance, ordered)))


def trace_log(squares: Tensor) -> Tensor:
    """The least λ of those whose product, each over the mean of all, is still at least 1 from the largest on, (M,).

    The effective correlation space is what lies above: Σ ln(λ/⟨λ⟩) = 0 over it (arXiv:2507.17912). λ is (M, n) > 0.
    """
    import torch

    ordered = squares.sort(dim=1, descending=True).values
    logs = (ordered / ordered.mean(1, keepdim=True)).clamp(min=torch.finfo(squares.dtype).tiny).log()
    # The first is at least the mean, and once the sum has fallen below 0 it stays there.
    last = ((logs.cumsum(1) >= 0).sum(1, keepdim=True) - 1).clamp(min=0)
    return ordered.gather(1, last)[:, 0]

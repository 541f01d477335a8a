"""Observable ``spectra``: the singular values of the weights of each layer, and the tail of their squares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import WEIGHTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment

SMALLEST = 50
"""Eigenvalues below which a tail says nothing: its exponent has an error of (α − 1)/√n."""


@option("observe/also", "spectra")
class Spectra(Observable):
    """Singular values s of W/√fan-in of each weight matrix, its stable rank Σs²/s₁², and the tail λ^(−α) of λ = s².

    α = 1 + n/Σ ln(λ_i/λ_min) over the n largest λ, with λ_min of least Kolmogorov–Smirnov distance (Clauset, Shalizi
    and Newman 2009; Martin and Hinrichs, arXiv:2507.17912): about 8 at a Gaussian start, which is no tail (distance
    above 0.1), 2 to 6 where one has been learnt. NaN for matrices with fewer than 50 singular values.
    """

    top: int = key(3, "how many of the largest singular values", ge=1)

    quantities: ClassVar[Any] = {
        "spectra/*/singular_*": Quantity("singular value of W/√fan-in", theme=WEIGHTS),
        "spectra/*/stable_rank": Quantity("stable rank Σs²/s₁²", scale="linear", theme=WEIGHTS),
        "spectra/*/alpha": Quantity("exponent α of the tail", scale="linear", where="arXiv:2507.17912", theme=WEIGHTS),
        "spectra/*/ks": Quantity("distance of the tail from a power law", where="arXiv:2507.17912", theme=WEIGHTS),
    }

    def at(self, moment: Moment) -> dict[str, Tensor]:
        found = {}
        for name, s in singular_values(moment):
            squares = s.double() ** 2
            found |= {f"spectra/{name}/singular_{i + 1}": s[:, i] for i in range(min(self.top, s.shape[1]))}
            found[f"spectra/{name}/stable_rank"] = (squares.sum(1) / squares[:, 0]).to(s)
            alpha, ks = tail(squares)
            found |= {f"spectra/{name}/alpha": alpha.to(s), f"spectra/{name}/ks": ks.to(s)}
        return found


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


def tail(squares: Tensor) -> tuple[Tensor, Tensor]:
    """α of p(λ) ~ λ^(−α) for the largest of λ (M, n) > 0, and its Kolmogorov–Smirnov distance, (M,) each."""
    import torch

    n = squares.shape[1]
    nothing = squares.new_full((len(squares),), torch.nan)
    if n < SMALLEST:
        return nothing, nothing.clone()
    logs = squares.sort(dim=1).values.clamp(min=torch.finfo(squares.dtype).tiny).log()
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
    alpha, distance = (torch.where(finite, one.gather(1, best)[:, 0], nothing) for one in (alpha, distance))
    return alpha, distance

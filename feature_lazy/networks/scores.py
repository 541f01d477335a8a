"""What attention makes of scores: maps from the Gram matrix of a pattern's keys to what tokens take of each other.

Softmax-free attention (Lu et al. 2021, arXiv:2110.11945) never makes the map of all tokens: with S the Gaussian one and
m landmarks for n tokens, it is Ŝ = S_nm(S_mm + ridge)⁻¹S_mn, which costs n·m and not n². The inverse of A is found by
V ← 2V − VAV, which squares 1 − AV; its derivative is that of an inverse, −VᵀGVᵀ, and no graph goes through the steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

FIRST = 0.9 * 2
"""V₀ = FIRST·A/‖A‖₁², as in the authors' code; from 2 on 1 − AV₀ may be −1 or less, whose squares do not fall."""
LEFT = 1e-5
"""What may be left of 1 − AV, in the worst case, for V to be differentiated as an inverse."""


def softmax(gram: Tensor) -> Tensor:
    """Rows of e^{G_tr}, each over its sum."""
    return gram.softmax(-1)


def gaussian(gram: Tensor) -> Tensor:
    """e^{−½(G_tt + G_rr − 2G_tr)}, of the distances of keys, without a sum (arXiv:2110.11945)."""
    return _near(gram, *[gram.diagonal(dim1=-2, dim2=-1) / 2] * 2)


def _near(products: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """e^{−½|u − v|²} of products u·v (…, T, m), and halves of squares |u|²/2 (…, T) and |v|²/2 (…, m)."""
    return torch.exp(products - left[..., None] - right[..., None, :])


MAPS = {"softmax": softmax, "gaussian": gaussian}
"""By name; each takes Gram matrices (…, T, T), and gives A of the same shape."""
EPSILON = 1e-6
"""What layer norm adds to a variance."""


@dataclass(frozen=True)
class SoftmaxFree:
    """Ŝ = S_nm(S_mm + ridge)⁻¹S_mn of the Gaussian map S of n tokens; landmarks are means of consecutive keys.

    Attributes:
        landmarks: m, which divides n.
        newton: steps to the inverse.
        ridge: added to the diagonal, without which landmarks that are near each other have no inverse.
        normalised: whether D^{−½}(S_mm + ridge)⁻¹D^{−½}, D the row sums of S_mm, takes the place of the inverse.
    """

    landmarks: int
    newton: int
    ridge: float
    normalised: bool = False

    def __call__(self, gram: Tensor) -> Tensor:
        """Ŝ (…, n, n) from a Gram matrix of keys, as maps have it."""
        cross = self._pooled(gram).mT
        left, middle = self._parts(cross, self._pooled(cross), gram.diagonal(dim1=-2, dim2=-1))
        return left @ self._inverse(middle) @ left.mT

    def applied(self, keys: Tensor, values: Tensor) -> Tensor:
        """Ŝv for keys (…, n, d), whose products are the Gram matrix, and values (…, n, d′), without Ŝ: (…, n, d′)."""
        left, middle = self.parts(keys)
        return left @ (self._inverse(middle) @ (left.mT @ values))

    def _inverse(self, middle: Tensor) -> Tensor:
        """What stands between S_nm and S_mn, (…, m, m)."""
        found = inverse(middle, self.newton)
        if not self.normalised:
            return found
        root = (middle.sum(-1) - self.ridge).rsqrt()
        return root[..., None] * found * root[..., None, :]

    def parts(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """S_nm (…, n, m) and S_mm + ridge (…, m, m) of keys (…, n, d)."""
        marks = self._pooled(keys)
        return self._parts(keys @ marks.mT, marks @ marks.mT, keys.square().sum(-1))

    def _pooled(self, rows: Tensor) -> Tensor:
        """Means over consecutive rows, (…, n, d) → (…, m, d)."""
        return rows.unflatten(-2, (self.landmarks, -1)).mean(-2)

    def _parts(self, cross: Tensor, middle: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """See ``parts``; of products with landmarks, and of those, and |k|²."""
        own = middle.diagonal(dim1=-2, dim2=-1) / 2
        ridge = self.ridge * torch.eye(self.landmarks, dtype=middle.dtype, device=middle.device)
        return _near(cross, squares / 2, own), _near(middle, own, own) + ridge

    def flops(self, tokens: int, size: int) -> float:
        """Floating point operations of the products in ``applied``, for keys and values of one size."""
        m = self.landmarks
        return 2.0 * (3 * tokens * m * size + 2 * m**2 * size + 2 * self.newton * m**3)


def steps_needed(landmarks: int, ridge: float) -> int:
    """Steps after which no m landmarks leave more than ``LEFT`` of 1 − AV.

    Entries of S_mm are 1 at most, so that ‖A‖₁ ≤ m + ridge, while the least eigenvalue is the ridge at least: with κ
    their ratio, 1 − AV₀ is below 1 − FIRST/κ², and each step squares it, so that 2 log₂ κ and a few steps suffice.
    """
    condition = (landmarks + ridge) / ridge
    return math.ceil(2 * math.log2(condition) + math.log2(-math.log(LEFT) / FIRST))


def newton(a: Tensor, steps: int) -> Iterator[Tensor]:
    """V₀ of matrices (…, m, m), and after each step V ← 2V − VAV, so that ‖1 − AV‖ is squared."""
    v = FIRST * a / a.abs().sum(-2).amax(-1)[..., None, None].square()
    yield v
    for _ in range(steps):
        v = 2 * v - v @ a @ v
        yield v


def inverse(a: Tensor, steps: int) -> Tensor:
    """A⁻¹ of matrices (…, m, m) by ``newton``, differentiated as such."""
    return _Inverse.apply(a, steps)  # type: ignore[no-any-return]


class _Inverse(Function):
    """See ``inverse``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, steps: int) -> Tensor:
        *_, found = newton(a, steps)
        return found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        [v] = ctx.saved_tensors
        return -v.mT @ grads[0] @ v.mT, None


def normed(v: Tensor) -> Tensor:
    """Layer norm (…, n) → (…, n), without weights of its own."""
    return torch.nn.functional.layer_norm(v, v.shape[-1:], eps=EPSILON)

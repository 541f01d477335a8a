"""A user's own loss: ``loss=custom loss.target=mypackage.loss``, a function ℓ(F, y)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from feature_lazy.settings.groups import Loss
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config


@option("loss", "custom")
class CustomLoss(Loss):
    """Your own ℓ(F, y), pattern by pattern: F (N,), or (N, C) for classes, and y (N,) give ℓ (N,)."""

    target: str = key("", "import path of the function, or of a class that makes it, such as mypackage.loss")
    kwargs: dict[str, Any] = key({}, "its keyword arguments, such as {reduction: none} of those of PyTorch")
    labels: str = key(
        "one",
        "what it is for: one output with y = ±1, classes 0 … C − 1, or real y",
        choices=("one", "classes", "real"),
    )
    margin_tol: float = key(0.01, "training stops at m > 1 − margin_tol, where for real y m = 1 − |y − F|", gt=0)
    bend: float = key(0.0, "largest eigenvalue of ∂²ℓ/∂F², if you know it; 0: unknown", ge=0)
    kinks: bool = key(False, "whether its gradient has jumps, as that of the hinge has")

    takes = ()

    def __post_init__(self) -> None:
        """The labels that it is for are those of a key."""
        self.takes = (self.labels,)

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        return not self.kinks

    @property
    def curvature(self) -> float:  # type: ignore[override]
        """``bend``, if it is known."""
        return self.bend or math.inf

    @property
    def stop_margin(self) -> float:
        """1 − margin_tol."""
        return 1 - self.margin_tol

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        yield from custom_problems("loss", self.target)

    def misfits(self, what: str, labels: str) -> Iterator[str]:
        if what != self.labels:
            yield f"loss.labels={self.labels}: {labels} are of another kind; if your loss is for them, write {what}."

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def margin(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return 1 - (labels - outputs).abs() if self.labels == "real" else super().margin(outputs, labels)

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        each = outputs.unflatten(-1, (labels.shape[-1], -1)) if self.labels == "classes" else outputs[..., None]
        shape, n_outputs = each.shape[:-1], each.shape[-1]
        flat = each.reshape(-1, n_outputs) if self.labels == "classes" else outputs.reshape(-1)
        return self._checked(n_outputs)(flat, labels.expand(shape).reshape(-1)).reshape(shape)

    def _checked(self, n_outputs: int) -> Callable[[Tensor, Tensor], Tensor]:
        """ℓ, which is looked at when it is first asked, with as many outputs as the network has."""
        if n_outputs not in self._looked_at:
            self._look(n_outputs)
            self._looked_at.add(n_outputs)
        return self._function

    @cached_property
    def _looked_at(self) -> set[int]:
        return set()

    @cached_property
    def _function(self) -> Callable[[Tensor, Tensor], Tensor]:
        from feature_lazy.settings.targets import function

        return function("loss", self.target, self.kwargs)

    def _look(self, n_outputs: int) -> None:
        """Refuse what is no differentiable function of each pattern.

        Raises:
            ConfigError: see ``networks.elementwise.check_pointwise``.
        """
        import torch

        from feature_lazy.networks.elementwise import POINTS, check_pointwise

        F = torch.tensor(POINTS, dtype=torch.float64)  # noqa: N806 - as the article has it
        if self.labels == "classes":
            F, y = F[torch.arange(4 * n_outputs) % 10].view(4, n_outputs), torch.arange(4) % n_outputs  # noqa: N806
        else:
            y = torch.tensor([1.0, -1, -1, 1, 1, -1, 1, 1, -1, -1], dtype=torch.float64)
            y = y if self.labels == "one" else 0.7 * y
        check_pointwise(f"loss.target={self.target}", self._function, F, y.shape, "outputs F", "pattern", y)

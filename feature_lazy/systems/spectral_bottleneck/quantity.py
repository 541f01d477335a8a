"""Observable ``target_energy``: how much of the target a kernel can learn, and has learnt after ten of its times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities import KERNEL
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

LEFT = "kernel/target_energy_left"
MATRICES = 4
"""Numbers held at a time over the entries of Θ on the training set: it, its eigenvectors, and what finds them."""


@option("observe/also", "target_energy")
class TargetEnergy(Observable):
    """The target y on the training set in eigenvectors u_i of Θ there, each over |y|².

    ``kernel/target_energy_k`` is Σ_{i ≤ k} (u_i·y)², of the largest eigenvalues. ``kernel/target_energy_left`` is what
    the flow under mse and a kernel that rests leaves of |y|² at t = τP/λ̄, λ̄ the mean eigenvalue:
    Σ_i (u_i·y)² e^{−2τλ_i/λ̄}.
    """

    top: list[int] = key([16, 64], "numbers k of eigenvectors", ge=1)
    times: float = key(10.0, "τ, in units of the time of the mean eigenvalue", gt=0)

    quantities: ClassVar[Any] = {
        LEFT: Quantity("target energy left by the flow of the kernel", where="arXiv:2509.09719", theme=KERNEL),
        "kernel/target_energy_*": Quantity(
            "target energy in the first eigenvectors of the kernel", "linear", "", "arXiv:2509.09719", KERNEL
        ),
    }

    def problems(self, config: Config) -> Iterator[str]:
        if config.labels.several:
            yield f"observe/also=[target_energy]: labels={config.labels.kind} are no numbers; use labels=regression."

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: the kernels of all members do not fit the memory limit.
        """
        size, limit = len(moment.y_train), moment.setting.model.memory_limit
        needed = MATRICES * len(moment) * size**2 * moment.weights.element_size()
        if needed > limit:
            raise ConfigError(
                f"observe/also=[target_energy]: kernels of {size} patterns of {len(moment)} networks take "
                f"{needed:.2g} bytes, more than memory_limit; raise it, or train fewer patterns or networks at once."
            )

    def at(self, moment: Moment) -> dict[str, Tensor]:
        import torch

        theta, y = moment.kernel(moment.setting.data.x_train), moment.y_train
        fine = theta.isfinite().all(2).all(1)
        values, vectors = torch.linalg.eigh(theta.where(fine[:, None, None], 0.0))
        values, vectors = values.flip(1), vectors.flip(2)
        energy = (y.to(theta) @ vectors).square() / y.to(theta).square().sum()
        rest = torch.exp(-2 * self.times * values / values.mean(1, keepdim=True))
        found = {LEFT: (energy * rest).sum(1)}
        found |= {f"kernel/target_energy_{k}": energy[:, :k].sum(1) for k in self.top}
        return {name: one.where(fine, torch.nan) for name, one in found.items()}

    @classmethod
    def smallest(cls) -> list[str]:
        return ["observe.also.target_energy.top=[2]"]

"""Observable ``linearised``: the network beside the linear model that trains as it does, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities import OUTPUTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

MATRICES = 4
"""Numbers held at a time over the entries of Θ on the training set: it, its eigenvectors, and what finds them."""


@option("observe/also", "linearised")
class Linearised(Observable):
    """Distance of the predictor from that of the linearised network at the same time, rms over test patterns.

    With the mean squared error the linear model F₀ + α∇f₀·(w − w₀) is known at every time (arXiv:1902.06720, eqs. 8–11,
    their learning rate being 1/P): F(x, t) = F₀(x) + Θ₀(x, X) Θ₀⁻¹ (1 − e^{−Θ₀t/P}) (y − F₀(X)), with the kernel Θ₀ of
    t = 0 between patterns x and the training set X.
    """

    quantities: ClassVar[Any] = {
        "linearised/gap": Quantity(
            "distance from the linearised network, rms(F − F_lin), test set", where="arXiv:1902.06720", theme=OUTPUTS
        )
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=mse"]

    def problems(self, config: Config) -> Iterator[str]:
        from feature_lazy.dynamics.flows import FrozenKernelOption, GradientFlowOption
        from feature_lazy.dynamics.losses import Mse

        if not isinstance(config.loss, Mse):
            yield f"observe/also=[linearised]: of loss={config.loss.kind} the linear model has no closed form; use mse."
        if not isinstance(config.dynamics, GradientFlowOption | FrozenKernelOption):
            yield (
                f"observe/also=[linearised]: the linear model is that of gradient flow, and not of "
                f"dynamics={config.dynamics.kind}; use gradient_flow."
            )

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: the kernels of all members do not fit the memory limit.
        """
        import torch

        from feature_lazy.dynamics.losses import push

        setting, member = moment.setting, moment.member
        data, initial = setting.data, moment.F_train
        needed = MATRICES * initial.shape[1] * initial.numel() * initial.element_size()
        if needed > setting.model.memory_limit:
            raise ConfigError(
                f"observe/also=[linearised]: kernels of {initial.shape[1]} outputs of {len(member)} networks take "
                f"{needed:.2g} bytes, more than memory_limit; raise it, or train fewer patterns or networks at once."
            )
        self._eigenvalues, vectors = torch.linalg.eigh(setting.model.kernel(moment.weights, member, data.x_train))
        self._n_train = len(data.x_train)
        wanted = push(setting.loss, initial, data.y_train, 1)  # −∂ℓ/∂F = y − F₀
        x = data.x_test[: setting.n_test]
        onto_tests = setting.model.kernel(moment.weights, member, x, data.x_train) @ vectors
        self._parts = onto_tests * (wanted[:, None] @ vectors)
        self._initial = moment.F_test

    def at(self, moment: Moment) -> dict[str, Tensor]:
        member, t = moment.member, moment.t[:, None] / self._n_train
        rates = self._eigenvalues[member]
        # (1 − e^{−λt/P})/λ, which is t/P of what does not move.
        reached = (-(-rates * t).expm1() / rates).where(rates.abs() * t > 1e-12, t)
        linear = self._initial[member] + (self._parts[member] @ reached[..., None])[..., 0]
        return {"linearised/gap": (moment.F_test - linear).square().mean(1).sqrt()}

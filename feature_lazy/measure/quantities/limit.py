"""Observable ``limit``: how far the kernel is from that of infinite width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import KERNEL
from feature_lazy.measure.quantity import Quantity
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config


@option("observe/also", "limit")
class Limit(Observable):
    """Distance of the kernel from its limit of infinite width, ‖Θ − Θ∞‖/‖Θ∞‖ on a probe set."""

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=1, at_most="dataset.n_test")

    quantities: ClassVar[Any] = {
        "kernel/limit_deviation": Quantity(
            "distance of the kernel from its limit ‖Θ − Θ∞‖/‖Θ∞‖", where="arXiv:1806.07572", theme=KERNEL
        )
    }

    def problems(self, config: Config) -> Iterator[str]:
        if not config.architecture.infinite:
            yield (
                f"observe/also=[limit]: architecture={config.architecture.kind}, as it is set here, has no kernel of "
                "infinite width that is known; use fully_connected, without the authors' bias of the output."
            )
        if config.parametrisation.exponents is not NTK:
            yield (
                f"observe/also=[limit]: with parametrisation={config.parametrisation.kind} kernels do not tend to Θ∞; "
                "use ntk."
            )

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``; Θ∞ of several outputs is the same for each, and 0 between two.

        Raises:
            ConfigError: a network whose limit is not known.
            NumericalError: an activation whose kernel of infinite width is not to be had.
        """
        import torch

        from feature_lazy.networks.limits.limit import limit_kernels

        net, x = moment.setting.flow.architecture, moment.probe(self.probe)
        own = torch.eye(net.n_outputs, dtype=x.dtype, device=x.device)
        self._limit = torch.kron(limit_kernels(net, x).ntk.to(own), own)

    def at(self, moment: Moment) -> dict[str, Tensor]:
        theta = moment.kernel(moment.probe(self.probe))
        deviation = (theta - self._limit).norm(dim=(1, 2)) / self._limit.norm()
        return {"kernel/limit_deviation": deviation}

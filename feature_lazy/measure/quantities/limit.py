"""Observable ``limit``: how far a network's kernels are from those of infinite width."""

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
    """Distances of Θ and Σ from their limits of infinite width, ‖Θ − Θ∞‖/‖Θ∞‖ and ‖Σ − Σ∞‖/‖Σ∞‖ on a probe set.

    Σ = E f(x)f(x′) over weights of the last layer as they begin, given all others.
    """

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=1, at_most="dataset.n_test")

    by_surrogate = False
    quantities: ClassVar[Any] = {
        "kernel/limit_deviation": Quantity(
            "distance of the kernel from its limit ‖Θ − Θ∞‖/‖Θ∞‖", where="arXiv:1806.07572", theme=KERNEL
        ),
        "kernel/nngp_deviation": Quantity(
            "distance of the covariance of outputs from its limit ‖Σ − Σ∞‖/‖Σ∞‖",
            where="arXiv:1711.00165",
            theme=KERNEL,
        ),
        "kernel/limit_smallest": Quantity(
            "smallest eigenvalue of Θ∞ over the largest", where="arXiv:1806.07572", theme=KERNEL
        ),
    }

    def problems(self, config: Config) -> Iterator[str]:
        if not config.architecture.infinite:
            why = config.architecture.no_limit
            what = f"{why}, or" if "; use " in why else f"{why};"
            yield f"observe/also=[limit]: architecture={config.architecture.kind}: {what} leave out limit."
        if config.parametrisation.exponents is not NTK:
            yield (
                f"observe/also=[limit]: with parametrisation={config.parametrisation.kind} kernels do not tend to Θ∞; "
                "use ntk."
            )
        if not config.leaves("prior"):
            yield f"observe/also=[limit]: prior={config.prior.kind} gives each network limits of its own; use fixed."

    def begin(self, moment: Moment) -> None:
        """Ask the network for both; Θ∞ of several outputs is the same for each, and 0 between two.

        Raises:
            ConfigError: a network whose limit is not known.
            NumericalError: an activation whose kernel of infinite width is not to be had.
        """
        import torch

        from feature_lazy.networks.limits.limit import limit_kernels

        net, x = moment.setting.flow.architecture, moment.probe(self.probe)
        own = torch.eye(net.n_outputs, dtype=x.dtype, device=x.device)
        limit = limit_kernels(net, x)
        self._ntk, self._nngp = torch.kron(limit.ntk.to(own), own), limit.nngp.to(own)
        eigenvalues = torch.linalg.eigvalsh(limit.ntk)
        self._smallest = (eigenvalues[0] / eigenvalues[-1]).to(own)

    def at(self, moment: Moment) -> dict[str, Tensor]:
        import torch

        from feature_lazy.networks.base import GaussianNetwork
        from feature_lazy.networks.limits.limit import output_covariance

        x, net = moment.probe(self.probe), moment.setting.flow.architecture
        pairs = {"kernel/limit_deviation": (moment.kernel(x), self._ntk)}
        if isinstance(net, GaussianNetwork):
            params, room = net.layout.unflatten(moment.weights), moment.setting.model.memory_limit
            pairs["kernel/nngp_deviation"] = (output_covariance(net, params, x, room), self._nngp)
        found = {name: (one - limit).norm(dim=(1, 2)) / limit.norm() for name, (one, limit) in pairs.items()}
        unknown = torch.full_like(found["kernel/limit_deviation"], torch.nan)
        return {"kernel/nngp_deviation": unknown, **found}

    def end(self, moment: Moment) -> dict[str, Tensor]:
        return {"kernel/limit_smallest": self._smallest.expand(len(moment))}

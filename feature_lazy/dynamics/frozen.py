"""The flow under a frozen kernel (App. A, eqs. 25–28), in the P unknowns a = −∫ ∂ℓ/∂F ds/P."""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.dynamics.system import Flops

POWER_ITERATIONS = 12


class FrozenKernelFlow:
    """ȧ = b(F), F = F₀ + Θa + ‖a‖²·r, with b = −∂ℓ/∂F/P: the state is a, P numbers.

    Without r this is dF/dt = −(1/P)Θ ∂ℓ/∂F, the flow of a linear model. ‖a‖ measures how far a step has come, so r is
    what the network does beyond its linearisation: the second order of a Taylor expansion in the way gone.
    """

    def __init__(
        self, theta: Tensor, outputs: Tensor, push: Callable[[Tensor, Tensor], Tensor], *, defect: Tensor | None = None
    ) -> None:
        """Freeze a kernel.

        Args:
            theta: Θ on the training set, (E, P, P).
            outputs: F₀ at a = 0, (E, P).
            push: b(F) of some members, (E, P) and (E,) → (E, P).
            defect: r, (E, P).
        """
        self.theta, self.outputs0, self.push, self.defect = theta, outputs, push, defect
        self.flops = Flops(evaluate=2.0 * outputs.shape[1] ** 2, outputs=2.0 * outputs.shape[1] ** 2)
        self._rows = torch.arange(len(theta), device=theta.device)
        self._now = (theta, outputs, defect)

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """See ``System.outputs``."""
        if len(member) != len(self._rows) or not torch.equal(member, self._rows):
            # Kernels are large: they are gathered when members leave, and not at every evaluation.
            defect = None if self.defect is None else self.defect[member]
            self._rows, self._now = member, (self.theta[member], self.outputs0[member], defect)
        theta, outputs0, defect = self._now
        # aᵀΘ and not Θa, which are the same: PyTorch's batched product with a column is five times slower on a CPU.
        outputs = torch.baddbmm(outputs0[:, None, :], y[:, None, :], theta)[:, 0]
        return outputs if defect is None else torch.addcmul(outputs, way(y).square(), defect)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """See ``System.evaluate``."""
        outputs = self.outputs(y, member)
        return self.push(outputs, member), outputs

    def along(self, a: Tensor, member: int) -> Tensor:
        """Velocities ȧ of one member at many states a (n, P): (n, P)."""
        outputs = self.outputs0[member] + a @ self.theta[member]
        if self.defect is not None:
            outputs = outputs + way(a) ** 2 * self.defect[member]
        return self.push(outputs, self._rows.new_full((len(a),), member))

    def radius(self) -> Tensor:
        """Largest eigenvalue of Θ for each member, from below, by power iteration: (E,)."""
        vector = self.theta.sum(1, keepdim=True)
        for _ in range(POWER_ITERATIONS):
            vector = torch.bmm(vector / torch.linalg.vector_norm(vector, dim=2, keepdim=True), self.theta)
        return torch.linalg.vector_norm(vector, dim=2)[:, 0].double()


def way(a: Tensor) -> Tensor:
    """‖a‖: how far a solution has come, (E, P) → (E, 1)."""
    return torch.linalg.vector_norm(a, dim=1, keepdim=True)

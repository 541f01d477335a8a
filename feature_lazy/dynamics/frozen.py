"""The flow under a frozen kernel (App. A, eqs. 25–28), in the P unknowns a = −∫ ∂ℓ/∂F ds/P."""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.dynamics.flow import Flops

POWER_ITERATIONS = 12


class FrozenKernelFlow:
    """ȧ = b(F), F = F₀ + Θa + ‖a‖²·r, with b = −∂ℓ/∂F/P, and ċ = ‖a‖·ȧ: the state is (a, c), 2P numbers.

    Without r this is dF/dt = −(1/P)Θ ∂ℓ/∂F, the flow of a linear model. ‖a‖ measures how far a step has come, so r is
    what the network does beyond its linearisation: the second order of a Taylor expansion in the way gone. c weighs
    the way by itself, for quantities that change along it.
    """

    def __init__(
        self, theta: Tensor, outputs: Tensor, push: Callable[[Tensor], Tensor], *, defect: Tensor | None = None
    ) -> None:
        """Freeze a kernel.

        Args:
            theta: Θ on the training set, (E, P, P).
            outputs: F₀ at a = 0, (E, P).
            push: b(F), (E, P) → (E, P).
            defect: r, (E, P).
        """
        self.theta, self.outputs0, self.push, self.defect = theta, outputs, push, defect
        self.flops = Flops(evaluate=2.0 * outputs.shape[1] ** 2, outputs=2.0 * outputs.shape[1] ** 2)
        self._rows = torch.arange(len(theta), device=theta.device)
        self._theta = theta

    def model(self, a: Tensor, member: Tensor) -> Tensor:
        """F for a (E, P): (E, P)."""
        if len(member) != len(self._rows) or not torch.equal(member, self._rows):
            # Kernels are large: they are gathered when members leave, and not at every evaluation.
            self._rows, self._theta = member, self.theta[member]
        # aᵀΘ and not Θa, which are the same: PyTorch's batched product with a column is five times slower on a CPU.
        outputs = self.outputs0[member] + torch.bmm(a[:, None, :], self._theta)[:, 0]
        if self.defect is None:
            return outputs
        return outputs + way(a) ** 2 * self.defect[member]

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """See ``System.outputs``."""
        return self.model(y.chunk(2, dim=1)[0], member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """See ``System.evaluate``."""
        a = y.chunk(2, dim=1)[0]
        outputs = self.model(a, member)
        velocity = self.push(outputs)
        return torch.cat([velocity, way(a) * velocity], dim=1), outputs

    def radius(self) -> Tensor:
        """Largest eigenvalue of Θ for each member, from below, by power iteration: (E,)."""
        vector = self.theta.sum(1, keepdim=True)
        for _ in range(POWER_ITERATIONS):
            vector = torch.bmm(vector / torch.linalg.vector_norm(vector, dim=2, keepdim=True), self.theta)
        return torch.linalg.vector_norm(vector, dim=2)[:, 0].double()


def way(a: Tensor) -> Tensor:
    """‖a‖: how far a solution has come, (E, P) → (E, 1)."""
    return torch.linalg.vector_norm(a, dim=1, keepdim=True)

"""How weights are scaled with the width n of a network: abc-parametrisations (Yang & Hu 2021, Tensor Programs IV).

A layer multiplies by n^{−a} w, its weights begin as N(0, n^{−2b}), and the learning rate is n^{−c}. Only the exponents
differ: constants, such as d, the area of a filter or E φ² = 1, are those of the NTK parametrisation, W x/√fan-in.
n is the fan-in of the output layer.

Weights w = n^{θ} w' change nothing but (a, b, c), to (a + θ, b − θ, c − 2θ) (their eq. 5). With θ = c/2 the learning
rate is gone. So every parametrisation is a factor of the weights and a standard deviation at the beginning: ẇ = −∇𝓛
stays as it is, in the same time t, and so do kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from feature_lazy.settings.groups import Parametrisation
from feature_lazy.settings.registry import option


class Role(StrEnum):
    """Which sides of a weight grow with n."""

    FIXED = "fixed"
    """Neither: a first convolution of 16 channels."""
    INPUT = "input"
    """Fan-out alone; a bias of hidden units is one, with a fan-in of 1."""
    HIDDEN = "hidden"
    """Both."""
    OUTPUT = "output"
    """Fan-in alone."""


@dataclass(frozen=True)
class Exponents:
    """Exponents of the width n.

    Attributes:
        a: of the factor, n^{−a}, by role.
        b: of the standard deviation at the beginning, n^{−b}.
        c: of the learning rate, n^{−c}.
    """

    a: Mapping[Role, float]
    b: Mapping[Role, float]
    c: float = 0.0

    def gain(self, role: Role, n: int) -> float:
        """Factor of a weight over 1/√fan-in, once the learning rate is folded in; exactly 1 for NTK."""
        return float(n) ** (NTK.a[role] - self.a[role] - self.c / 2)

    def std(self, role: Role, n: int) -> float:
        """Standard deviation with which a weight begins, once the learning rate is folded in; exactly 1 for NTK."""
        return float(n) ** (self.c / 2 - self.b[role])

    @property
    def output(self) -> float:
        """Exponent of f at t = 0, where activations are O(1): rms(f) ~ n^output."""
        return 0.5 - self.a[Role.OUTPUT] - self.b[Role.OUTPUT]

    def own_speed(self, role: Role) -> float:
        """Exponent of α‖ż‖ at t = 0 that the motion of a layer's own weights makes, given activations of O(1).

        ẇ = −n^{−c} n^{−a} ∂f/∂z ⊗ x/α up to a number, so that ż = −n^{−c − 2a} ∂f/∂z |x|²/α. Each ∂f/∂z is of the size
        n^{−a − b} of the output layer, and √n times that where n units follow on a few; |x|² grows with fan-in.
        """
        signal = self.output - 0.5 + (0.5 if role is Role.FIXED else 0.0)
        return signal - self.c - 2 * self.a[role] + (1.0 if role is Role.HIDDEN else 0.0)

    def output_speed(self, roles: set[Role]) -> float:
        """Exponent of α‖ḟ‖ at t = 0, for a network with weights of these roles.

        It is the kernel's: the output layer adds n^{−c − 2a}·|x|², every other one Σ ∂f/∂z·ż over its units.
        """
        last = 1 - self.c - 2 * self.a[Role.OUTPUT]
        others = [
            self.own_speed(role) + self.output + (0.0 if role is Role.FIXED else 0.5) for role in roles - {Role.OUTPUT}
        ]
        return max([last, *others])


def _by_role(fixed: float, input: float, hidden: float, output: float) -> dict[Role, float]:
    return dict(zip(Role, (fixed, input, hidden, output), strict=True))


NTK = Exponents(a=_by_role(0, 0, 0.5, 0.5), b=_by_role(0, 0, 0, 0))
"""The article's (eqs. 11–14): what moves is O(1), and features move by 1/√n (Jacot et al. 2018)."""
MEAN_FIELD = Exponents(a=_by_role(0, 0, 0.5, 1), b=_by_role(0, 0, 0, 0), c=-1)
"""f = f_NTK/√n, and time n times as fast: exactly the NTK parametrisation at α/√n. With L = 1 it is Tensor Programs'
MFP; deeper, it is the scaling of Bordelon & Pehlevan 2022, and has µP's exponents in all but fixed layers."""
STANDARD = Exponents(a=_by_role(0, 0, 0, 0), b=_by_role(0, 0, 0.5, 0.5))
"""The scale is in the weights, as libraries begin them; the output then moves by n in a time of O(1)."""
MUP = Exponents(a=_by_role(0, -0.5, 0, 0.5), b=_by_role(0, 0.5, 0.5, 0.5))
"""µP: every layer's features move as much as they can at any n (Tensor Programs IV, Table 1)."""


@option("parametrisation", "ntk")
class Ntk(Parametrisation):
    """The article's: weights N(0, 1), every layer divided by √fan-in."""

    exponents = NTK


@option("parametrisation", "mean_field")
class MeanField(Parametrisation):
    """The output divided by √h once more, and time h times as fast: ntk at α/√h, exactly."""

    exponents = MEAN_FIELD


@option("parametrisation", "standard")
class Standard(Parametrisation):
    """The scale is in the initial weights, as libraries begin them; no limit of infinite width in a time of O(1)."""

    exponents = STANDARD


@option("parametrisation", "mup")
class Mup(Parametrisation):
    """µP (Tensor Programs IV): features move as much as they can at every width."""

    exponents = MUP

"""Updates of natural gradient descent, in dual form: with P·C × P·C kernels in place of N × N matrices.

G = JᵀDJ/P with J = ∂f/∂w and D = ∂²ℓ/∂F² (α cancels), ∇𝓛 = Jᵀℓ′/(αP). From (JᵀDJ + λ)⁻¹Jᵀ = Jᵀ(DΘ + λ)⁻¹, Θ = JJᵀ, an
update is Δw = −(η/α)·Jᵀ(DΘ + λ)⁻¹ℓ′, and for the parts of G likewise, layer by layer (Karakida and Osawa 2020, section
3, where α = 1 and ℓ is mse). ΔF is then −ηc·D⁻¹ℓ′ to first order, of mse −ηc(F − y): ``step`` is ηc.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.losses import push
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import due, without_force
from feature_lazy.dynamics.system import Flops
from feature_lazy.dynamics.updates import AcceptFinite, Updates, Work
from feature_lazy.kernels.factors import Factors
from feature_lazy.kernels.layerwise import Linearisation, mirror
from feature_lazy.kernels.shifted import shifted_solve
from feature_lazy.networks.base import Layered
from feature_lazy.networks.layout import layer_of
from feature_lazy.settings.checks import check_option
from feature_lazy.systems.natural_gradient.parts import BLOCK, EXACT, KFAC, TRIDIAGONAL, UNIT

if TYPE_CHECKING:
    from feature_lazy.systems.natural_gradient.option import NaturalGradient

Blocks = list[list[Factors]]
"""Trained weights by layer: a layer's bias is in the block of its weight."""


def shift(matrix: Tensor, damping: float) -> Tensor:
    """λ, ``damping`` times the mean of the diagonal of A (M, n, n): (M, 1); 1 for A = 0, which then moves nothing."""
    found = damping * matrix.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    return torch.where(found > 0, found, 1.0)


def kernel(factors: Sequence[Factors], memory_limit: float) -> Tensor:
    """The part of some weights in Θ, (M, P·C, P·C)."""
    some = factors[0].signals
    theta = some.new_zeros(len(some), some.shape[1], some.shape[1])
    for one in factors:
        one.add_kernel(theta, None, memory_limit)
    mirror(theta)
    return theta


@dataclass(frozen=True)
class Metric:
    """What an update needs of the network and of the loss at the weights of some members.

    Attributes:
        blocks: the trained weights by layer.
        force: ℓ′, (M, P·C).
        curvature: D = ∂²ℓ/∂F², (M, P·C, P·C); None for mse, whose is 1.
        damping: see ``NaturalGradient``.
        memory_limit: bytes for a kernel's work.
    """

    blocks: Blocks
    force: Tensor
    curvature: Tensor | None
    damping: float
    memory_limit: float

    def solved(self, theta: Tensor) -> Tensor:
        """(DΘ + λ)⁻¹ℓ′, (M, P·C)."""
        matrix = theta if self.curvature is None else self.curvature @ theta
        return shifted_solve(matrix, shift(matrix, self.damping), self.force[..., None])[..., 0]

    def kernels(self) -> list[Tensor]:
        """The part of each layer in Θ."""
        return [kernel(block, self.memory_limit) for block in self.blocks]


def layers(metric: Metric) -> list[list[Tensor]]:
    """Update of each weight for one block of G a layer: −Jₗᵀ(DΘₗ + λ)⁻¹ℓ′, up to the learning rate."""
    return [
        [one.pull_back(metric.solved(theta)) for one in block]
        for block, theta in zip(metric.blocks, metric.kernels(), strict=True)
    ]


def tridiagonal(metric: Metric) -> list[list[Tensor]]:
    """The same for blocks of neighbouring layers too: Σₘ TₗₘΘₘvₘ + λvₗ = ℓ′, Δwₗ = Jₗᵀvₗ, T = 1 for |l − m| ≤ 1."""
    kernels, n = metric.kernels(), metric.force.shape[1]
    column = torch.cat(kernels, dim=2)
    near = torch.kron(neighbours(len(kernels)), torch.ones(n, n)).to(column)
    whole = near * column.repeat(1, len(kernels), 1)
    shifts = torch.cat([shift(theta, metric.damping).expand(-1, n) for theta in kernels], dim=1)
    found = shifted_solve(whole, shifts, metric.force.repeat(1, len(kernels))[..., None])[..., 0]
    pairs = zip(metric.blocks, found.split(n, dim=1), strict=True)
    return [[one.pull_back(a) for one in block] for block, a in pairs]


def kronecker(metric: Metric) -> list[list[Tensor]]:
    """The same for Gₗ = A ⊗ B, A = UᵀU/P of a layer's inputs and B = SᵀS/P of its signals (Martens and Grosse 2015).

    B⁻¹(Σₙ ℓ′ₙ sₙuₙᵀ)A⁻¹/P is a sum over patterns of what B⁻¹ makes of signals and A⁻¹ of inputs.
    """
    found, n = [], metric.force.shape[1]
    for block in metric.blocks:
        inputs = torch.cat([_inputs(one) * one.scale for one in block], dim=2)
        u = _whitened(inputs, metric.damping).split([one.shape.fan_in for one in block], dim=2)
        signals = _whitened(block[0].signals.squeeze(3), metric.damping)[..., None]
        found.append(
            [
                replace(one, inputs=part / one.scale, signals=signals).pull_back(metric.force / n)
                for one, part in zip(block, u, strict=True)
            ]
        )
    return found


def units(metric: Metric) -> list[list[Tensor]]:
    """The same for a block of G for each unit: its own signals sₙ, and the layer's inputs."""
    found = []
    for block in metric.blocks:
        inputs = torch.cat([_inputs(one) * one.scale for one in block], dim=2)
        gram, signals = inputs @ inputs.mT, block[0].signals.squeeze(3)
        own = (s[:, :, None] * gram * s[:, None, :] for s in signals.unbind(2))
        solved = [shifted_solve(part, shift(part, metric.damping), metric.force[..., None])[..., 0] for part in own]
        moved = (torch.stack(solved, dim=1) * signals.mT) @ inputs
        parts = moved.split([one.shape.fan_in for one in block], dim=2)
        found.append([part.flatten(1) for part in parts])
    return found


RULES: dict[str, Callable[[Metric], list[list[Tensor]]]] = {
    BLOCK: layers,
    TRIDIAGONAL: tridiagonal,
    KFAC: kronecker,
    UNIT: units,
}


def _inputs(one: Factors) -> Tensor:
    """u of a dense layer for every member, (M, P, fan-in)."""
    return one.inputs if one.own else one.inputs.expand(len(one.signals), -1, -1)


def _whitened(rows: Tensor, damping: float) -> Tensor:
    """Rows x (M, P, n) times (XᵀX/P + λ)⁻¹, on the smaller side."""
    n = rows.shape[1]
    if rows.shape[2] <= n:
        gram = rows.mT @ rows / n
        return shifted_solve(gram, shift(gram, damping), rows.mT).mT
    gram = rows @ rows.mT / n
    return shifted_solve(gram, shift(gram, damping), rows)


@dataclass(frozen=True)
class NaturalGradientTraining:
    """A network trained by natural gradient descent: what the integrator sees as a system.

    Attributes:
        flow: the network's gradient flow, for outputs and factors.
        option: which part of G, and how far an update goes.
        unit: time of an update, 1 of each member, (M,) float64.
    """

    flow: NetworkFlow
    option: NaturalGradient
    unit: Tensor

    @property
    def flops(self) -> Flops:
        """Those of the whole training set."""
        return self.flow.flops

    @property
    def work(self) -> Work:
        """A kernel, an equation with P·C unknowns, and a product with Jᵀ."""
        flops, n = self.flow.flops, self.flow.n_train * self.flow.n_outputs
        return Work(kernels=1, flops=flops.linearise + flops.kernel + flops.pull_back + 2 * n**3 / 3)

    def weights(self, y: Tensor) -> Tensor:
        """See ``WeightSystem.weights``: the state itself."""
        return y

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """See ``System.outputs``."""
        return self.flow.outputs(y, member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """No velocity, which updates do not have: 0, and F on the training set (M, P·C)."""
        return torch.zeros_like(y), self.outputs(y, member)

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``: no gradient, and without one an update changes nothing."""
        looked = due(state)
        if not bool(looked.any()):
            return looked
        force, _ = self.flow.evaluate(state.y, state.member)
        return looked & without_force(self.flow.evaluate, state, force)

    def updates(self, y: Tensor, member: Tensor, first: Tensor, count: int) -> Tensor:
        """See ``UpdateSystem.updates``; every update is the same map."""
        for _ in range(count):
            y = y - self._direction(y, member)
        return y

    def _direction(self, y: Tensor, member: Tensor) -> Tensor:
        flow, rate = self.flow, self.option.step / self.flow.alpha[member, None]
        tangent = flow.linearise(y, member)
        force = -flow.n_train * push(flow.loss, tangent.outputs, flow.labels, flow.n_train)
        curvature = _curvature(flow, tangent.outputs)
        if self.option.fisher == EXACT:
            metric = Metric([], force, curvature, self.option.damping, flow.memory_limit)
            return rate * tangent.linear.pull_back(metric.solved(tangent.kernel()))
        assert isinstance(tangent.linear, Linearisation)
        factors = [layer for layer in tangent.linear.layers if isinstance(layer, Factors)]
        blocks = in_blocks(flow, factors)
        metric = Metric(blocks, force, curvature, self.option.damping, flow.memory_limit)
        parts = [part for block in RULES[self.option.fisher](metric) for part in block]
        speed = isotropy(self.option.fisher, blocks)
        return rate / speed * flow.architecture.layout.scattered(parts)


def _curvature(flow: NetworkFlow, outputs: Tensor) -> Tensor | None:
    """∂²ℓ/∂F², (M, P·C, P·C): diag(p) − ppᵀ of each pattern for cross-entropy; None for mse, whose is 1."""
    if flow.loss.kind != "cross_entropy":
        return None
    p = outputs.unflatten(1, (-1, flow.n_outputs)).softmax(2)
    each = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return torch.stack([torch.block_diag(*member) for member in each])


def in_blocks(flow: NetworkFlow, factors: Sequence[Factors]) -> Blocks:
    """The factors of the trained weights, layer by layer, from the input on."""
    named = zip(flow.architecture.layout.trained, factors, strict=True)
    return [[one for _, one in some] for _, some in groupby(named, key=lambda pair: layer_of(pair[0]))]


def isotropy(fisher: str, blocks: Blocks) -> Tensor | float:
    """c of JG⁻¹Jᵀ/P = c·1 at infinite width (Karakida and Osawa 2020, Table 1).

    1, the number of layers, or 1ᵀT⁻¹1. For Kronecker factors P for each layer of at least P units and its number of
    units for others. For single units the mean number over patterns of units whose signals are not 0.
    """
    if fisher == TRIDIAGONAL:
        return float(torch.linalg.inv(neighbours(len(blocks))).sum())
    if fisher == KFAC:
        return float(sum(min(block[0].signals.shape[1:3]) for block in blocks))
    if fisher == UNIT:
        return sum((block[0].signals.squeeze(3) != 0).sum(2).double().mean(1, keepdim=True) for block in blocks)
    return float(len(blocks))


def neighbours(n: int) -> Tensor:
    """T, (n, n): 1 for |l − m| ≤ 1, else 0."""
    ones = torch.ones(n, n, dtype=torch.float64)
    return ones.triu(-1).tril(1)


def prepare(option: NaturalGradient, flow: NetworkFlow, w0: Tensor) -> Training:
    """Make natural gradient descent ready for members with the initial weights w0 (M, N).

    Raises:
        ConfigError: a part of G that the network or its patterns do not allow.
    """
    check_option(option, "dynamics")
    if option.fisher != EXACT:
        _check(option.fisher, flow)
    unit = torch.ones_like(flow.alpha, dtype=torch.float64)
    system = NaturalGradientTraining(flow, option, unit)
    model = NetworkModel(flow.architecture, flow.memory_limit)
    return Training(
        system, Method(Updates(), AcceptFinite()), w0, option.check_every * unit, model, option.updates * unit
    )


def _check(fisher: str, flow: NetworkFlow) -> None:
    """Refuse networks and numbers of patterns for which a part of G has no inverse.

    Raises:
        ConfigError: the layers are not known, too many patterns, or a number of layers without T⁻¹.
    """
    own, net = f"dynamics.fisher={fisher}", flow.architecture
    if not isinstance(net, Layered):
        raise ConfigError(f"{own}: this network does not show its layers; use exact.")
    shapes = dict(zip(net.layout.shapes, net.layers, strict=True))
    trained = {name: shapes[name] for name in net.layout.trained}
    n, layers_ = flow.n_train * flow.n_outputs, len({layer_of(name) for name in trained})
    if fisher == TRIDIAGONAL and layers_ % 3 == 2:
        raise ConfigError(
            f"{own}: T is singular for {layers_} layers, as for every 3s + 2; use block_diagonal, or another "
            "architecture.depth."
        )
    if fisher in (KFAC, UNIT) and net.layout.added:
        raise ConfigError(
            f"{own}: for layers of one weight, not of W + BA; use block_diagonal, or architecture.lora=0."
        )
    if fisher in (KFAC, UNIT) and any(layer.positions > 1 for layer in trained.values()):
        raise ConfigError(f"{own}: for fully connected layers; use block_diagonal for convolutions.")
    for name, layer in trained.items():
        room = layer.fan_in if fisher == KFAC else layer.fan_in * layer.fan_out
        weight = not name.startswith("B")  # a bias is in its weight's block
        if weight and fisher != UNIT and room < n:
            has = f"{room} inputs" if fisher == KFAC else f"{room} weights"
            raise ConfigError(
                f"{own}: {name} has {has}, fewer than the {n} outputs on training patterns, so that its part of G does "
                "not reach them all; use fewer of dataset.n_train, or exact."
            )

"""Sizes of preactivations, and how fast they move (App. D, Fig. 11)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.networks.base import Layered
from feature_lazy.networks.layout import Params


def layer_speeds(
    net: Layered, w: Tensor, velocity: Tensor, x: Tensor, memory_limit: float = float("inf")
) -> dict[str, Tensor]:
    """Size of each layer's preactivations z and of ż = (∂z/∂w)·ẇ, with ‖·‖ the rms over patterns, units and positions.

    Args:
        net: a network that shows its layers.
        w: weights of members, (M, N).
        velocity: ẇ, (M, N).
        x: patterns (P, d).
        memory_limit: bytes for one chunk of patterns.

    Returns:
        ``W0/rms`` = ‖z‖ and ``W0/speed`` = ‖ż‖ of the layer of each weight W…, the output's included: (M,).
    """
    params, moved = net.layout.unflatten(w), net.layout.unflatten(velocity)
    names = [name for name in net.layout.shapes if not name.startswith("B")]  # a bias moves the z of its weight
    per_pattern = 2 * COPIES_PER_ACTIVATION * len(w) * net.activations_per_pattern * w.element_size()
    squares = {f"{name}/{what}": w.new_zeros(len(w)) for name in names for what in ("rms", "speed")}
    for chunk in chunks(len(x), chunk_size(len(x), per_pattern, memory_limit)):
        z, speed = _forward(net, params, moved, x[chunk])
        for name in names:
            for what, values in (("rms", z), ("speed", speed)):
                squares[f"{name}/{what}"] += values[name].flatten(1).square().mean(1) * (len(x[chunk]) / len(x))
    return {name: value.sqrt() for name, value in squares.items()}


@torch.enable_grad()
def _forward(net: Layered, params: Params, moved: Params, x: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Preactivations z of each weight, and (∂z/∂w)·ẇ: the slope along ẇ of u ↦ Jᵀu, by a second backward pass."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in params.items()}
    z = {tap.name: tap.preactivations for tap in net.taps(leaves, x)[1]}
    u = [torch.zeros_like(one, requires_grad=True) for one in z.values()]
    # Sums, for vectors beside ``grad`` make PyTorch import SymPy first: half a second of a process.
    back = torch.autograd.grad(_product(z.values(), u), list(leaves.values()), create_graph=True)
    speeds = torch.autograd.grad(_product(back, moved.values()), u)
    return {name: one.detach() for name, one in z.items()}, dict(zip(z, speeds, strict=True))


def _product(left: Iterable[Tensor], right: Iterable[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()

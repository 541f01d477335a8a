"""Sizes of preactivations, and how fast they move (App. D, Fig. 11)."""

import torch
from torch import Tensor

from feature_lazy.architectures.base import Layered
from feature_lazy.memory import COPIES_PER_ACTIVATION, chunk_size, chunks


@torch.enable_grad()
def layer_speeds(
    net: Layered, w: Tensor, velocity: Tensor, x: Tensor, memory_limit: float = float("inf")
) -> dict[str, Tensor]:
    """Size of each layer's preactivations z and of ż = (∂z/∂w)·ẇ, with ‖·‖ the rms over patterns, units and positions.

    Args:
        net: a network that shows its layers.
        w: weights of members, (k, N).
        velocity: ẇ, (k, N).
        x: patterns (P, d).
        memory_limit: bytes for one chunk of patterns.

    Returns:
        ``W0/rms`` = ‖z‖ and ``W0/speed`` = ‖ż‖ of the layer of each weight W…, the output's included: (k,).
    """
    params, moved = net.layout.unflatten(w), net.layout.unflatten(velocity)
    names = [name for name in net.layout.shapes if not name.startswith("B")]  # a bias moves the z of its weight
    per_pattern = 2 * COPIES_PER_ACTIVATION * len(w) * net.activations_per_pattern * w.element_size()
    squares = {f"{name}/{what}": w.new_zeros(len(w)) for name in names for what in ("rms", "speed")}
    for chunk in chunks(len(x), chunk_size(len(x), per_pattern, memory_limit)):

        def layers(params: dict[str, Tensor], patterns: Tensor = x[chunk]) -> dict[str, Tensor]:
            return {tap.name: tap.preactivations for tap in net.taps(params, patterns)[1]}

        z, speed = torch.func.jvp(layers, (params,), (moved,))
        for name in names:
            for what, values in (("rms", z), ("speed", speed)):
                part = values[name].detach().flatten(1).square()
                squares[f"{name}/{what}"] += part.mean(1) * (chunk.stop - chunk.start) / len(x)
    return {name: value.sqrt() for name, value in squares.items()}

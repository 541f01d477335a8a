"""Initial weights of a network, which its seed alone decides."""

from collections.abc import Callable, Mapping

from torch import Tensor

from feature_lazy.core.drawn import drawn
from feature_lazy.core.errors import ConfigError


def initial_weights(init: Callable[[int], Mapping[str, Tensor]], seed: int) -> Mapping[str, Tensor]:
    """Initial weights of one member, by name, of a user's own network or seed: drawn twice.

    Raises:
        ConfigError: weights that the seed alone does not decide: a run that goes on, and runs at other α, would have
            others.
    """
    return drawn(
        lambda: init(seed),
        ConfigError,
        f"the initial weights of seed {seed}",
        "init(seed) must draw them from a generator of its seed; for a module the seed is set in PyTorch's generators, "
        "and in those of NumPy and Python it is not.",
    )

"""Widths and depth of the network that a configuration describes; without PyTorch."""

from feature_lazy.settings.config import (
    Cnn,
    Config,
    FullyConnected,
    GeometricWidth,
    WideResnet,
)

PER_BLOCK = 2
"""Convolutions in a block of the article's network."""
RESNET_CHANNELS = 64
"""Channels of a wide ResNet's last stage, over its widening factor."""


def widths(config: Config) -> list[int]:
    """Widths round(h·growth^l) of the hidden layers, or of the blocks of convolutions; h alone of a custom network."""
    match config.architecture:
        case FullyConnected(depth=depth):
            number = depth
        case Cnn(blocks=blocks):
            number = blocks
        case _:
            number = 1
    growth = config.width.growth if isinstance(config.width, GeometricWidth) else 1.0
    return [round(config.width.h * growth**index) for index in range(number)]


def last_fan_in(config: Config) -> int:
    """Fan-in of the output layer, the h in √h·α; a custom network's is what ``width.h`` says."""
    factor = RESNET_CHANNELS if isinstance(config.architecture, WideResnet) else 1
    return factor * widths(config)[-1]


def hidden_layers(config: Config) -> int | None:
    """L; None of a custom network, whose layers are not known."""
    match config.architecture:
        case FullyConnected(depth=depth) | WideResnet(depth=depth):
            return depth
        case Cnn(blocks=blocks):
            return PER_BLOCK * blocks
    return None

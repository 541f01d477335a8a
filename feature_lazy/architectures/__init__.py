"""Networks as pure functions with a leading member axis."""

from feature_lazy.architectures.base import Architecture, DenseTap
from feature_lazy.architectures.fully_connected import FullyConnected

__all__ = ["Architecture", "DenseTap", "FullyConnected"]

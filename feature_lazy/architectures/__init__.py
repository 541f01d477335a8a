"""Networks as pure functions with a leading member axis."""

from feature_lazy.architectures.base import Architecture, DenseTap, Initialised, Layered
from feature_lazy.architectures.fully_connected import FullyConnected
from feature_lazy.architectures.functional import of_module
from feature_lazy.architectures.generic import Generic

__all__ = ["Architecture", "DenseTap", "FullyConnected", "Generic", "Initialised", "Layered", "of_module"]

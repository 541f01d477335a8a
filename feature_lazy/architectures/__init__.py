"""Networks as pure functions with a leading member axis."""

from feature_lazy.architectures.base import Architecture, Initialised, Layered, LayerShape, Tap
from feature_lazy.architectures.convolutional import Convolutional
from feature_lazy.architectures.custom import Custom
from feature_lazy.architectures.fully_connected import FullyConnected
from feature_lazy.architectures.functional import of_module
from feature_lazy.architectures.generic import Generic
from feature_lazy.architectures.wide_resnet import WideResnet
from feature_lazy.geometry import Window

__all__ = [
    "Architecture",
    "Convolutional",
    "Custom",
    "FullyConnected",
    "Generic",
    "Initialised",
    "LayerShape",
    "Layered",
    "Tap",
    "WideResnet",
    "Window",
    "of_module",
]

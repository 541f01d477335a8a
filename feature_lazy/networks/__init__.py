"""Networks as pure functions with a leading member axis."""

from feature_lazy.networks.base import Architecture, Initialised, Layered, LayerShape, Tap
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.custom import Custom
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.functional import of_module
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.geometry import Window
from feature_lazy.networks.wide_resnet import WideResnet

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

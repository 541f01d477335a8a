"""From the typed configuration to networks and losses, for data that are there."""

from typing import Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.data.rules import loss_problems
from feature_lazy.dynamics import losses
from feature_lazy.networks import Convolutional, Custom, FullyConnected, Initialised, WideResnet
from feature_lazy.networks.activations import (
    Activation,
    erf_activation,
    relu_activation,
    softplus_activation,
    tanh_activation,
)
from feature_lazy.networks.geometry import ImageShape
from feature_lazy.networks.parametrisation import PARAMETRISATIONS
from feature_lazy.networks.widths import last_fan_in, widths
from feature_lazy.settings import config as schema
from feature_lazy.settings.checks import image_problems
from feature_lazy.settings.targets import factory


def network(config: schema.Config, data: Dataset) -> Initialised:
    """The network that a configuration asks for, for patterns such as these, in their dtype and on their device.

    Raises:
        ConfigError: a network that does not fit patterns or labels, or a target that is refused or fails.
    """
    match config.architecture:
        case schema.CustomArchitecture(target=target, kwargs=kwargs):
            patterns = data.x_train.unflatten(1, data.shape or (data.input_dim,))
            made = Custom.made_by(factory("architecture", target, kwargs), patterns, last_fan_in=last_fan_in(config))
            if made.n_outputs != data.n_outputs:
                raise ConfigError(
                    f"architecture.target={target}: the network has {made.n_outputs} outputs; for {_label_key(config)} "
                    f"it must have {data.n_outputs}."
                )
            return made
    shared: dict[str, Any] = {
        "activation": activation(config.activation),
        "parametrisation": PARAMETRISATIONS[config.parametrisation.kind],
        "n_outputs": data.n_outputs,
    }
    match config.architecture:
        case schema.FullyConnected(bias=bias, authors_output_bias=own):
            return FullyConnected(data.input_dim, widths(config), bias=bias, authors_output_bias=own, **shared)
        case schema.Cnn():
            return Convolutional(_image_shape(config, data), widths(config), **shared)
        case schema.WideResnet(depth=depth):
            return WideResnet(_image_shape(config, data), config.width.h, depth=depth, **shared)
    raise ConfigError(f"architecture={config.architecture.kind}: there is no such architecture.")


def activation(config: schema.Activation) -> Activation:
    """φ, scaled to E φ² = 1.

    Raises:
        ConfigError: there is no such activation.
    """
    match config:
        case schema.Softplus():
            return softplus_activation(config.beta)
        case schema.Relu():
            return relu_activation()
        case schema.Tanh():
            return tanh_activation()
        case schema.Erf():
            return erf_activation()
    raise ConfigError(f"activation={config.kind}: there is no such activation.")


def loss(config: schema.Config, data: Dataset) -> losses.Loss:
    """ℓ(F, y) for the labels of these data.

    Raises:
        ConfigError: there is no such loss, or it is for other labels.
    """
    if problems := list(loss_problems(config.loss, data.n_outputs > 1, _label_key(config))):
        raise ConfigError("\n".join(problems))
    match config.loss:
        case schema.Mse() if isinstance(config.labels, schema.RegressionLabels):
            return losses.SquaredError(config.loss.margin_tol)
        case schema.SoftHinge():
            return losses.SoftHinge(config.loss.beta)
        case schema.Hinge():
            return losses.Hinge()
        case schema.QuadraticHinge():
            return losses.QuadraticHinge(config.loss.margin_tol)
        case schema.Mse():
            return losses.Mse(config.loss.target, config.loss.margin_tol)
        case schema.CrossEntropy():
            return losses.CrossEntropy()
    raise ConfigError(f"loss={config.loss.kind}: there is no such loss.")


def _image_shape(config: schema.Config, data: Dataset) -> ImageShape:
    shape = data.shape or (data.input_dim,)
    problems = list(image_problems(config, shape))
    if problems or len(shape) != 3:
        raise ConfigError("\n".join(problems))
    return shape


def _label_key(config: schema.Config) -> str:
    """What decides how many outputs there are, with its value."""
    data = config.dataset
    if isinstance(data, schema.CustomData):
        return f"the labels of dataset.target={data.target}"
    return f"labels={config.labels.kind}"

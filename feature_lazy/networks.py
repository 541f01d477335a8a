"""From the typed configuration to networks, losses and data sets.

The only place that imports what a configuration names.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from feature_lazy import config as schema
from feature_lazy import losses
from feature_lazy.activations import (
    Activation,
    erf_activation,
    relu_activation,
    softplus_activation,
    tanh_activation,
)
from feature_lazy.architectures import Convolutional, Custom, FullyConnected, Initialised, WideResnet
from feature_lazy.architectures.functional import explained
from feature_lazy.datasets.custom import split
from feature_lazy.datasets.prepare import Dataset, prepare
from feature_lazy.errors import ConfigError
from feature_lazy.parametrisation import PARAMETRISATIONS
from feature_lazy.widths import last_fan_in, widths


def dataset(config: schema.Config) -> Dataset:
    """The data that a configuration asks for, in float64 on the CPU.

    Raises:
        ConfigError: a target that is refused, or that fails.
        DataError: data that are not what they should be.
    """
    data = config.dataset
    if data.kind == "custom":
        return split(_factory("dataset", data.target, data.kwargs), data.n_train, data.n_test)
    return prepare(data.kind, data.n_train, data.n_test, data.seed)


def network(config: schema.Config, data: Dataset) -> Initialised:
    """The network that a configuration asks for, for patterns such as these, in their dtype and on their device.

    Raises:
        ConfigError: a network that does not fit the patterns, or a target that is refused or fails.
    """
    match config.architecture:
        case schema.CustomArchitecture(target=target, kwargs=kwargs):
            patterns = data.x_train.unflatten(1, data.shape or (data.input_dim,))
            make = _factory("architecture", target, kwargs)
            return Custom.made_by(make, patterns, last_fan_in=last_fan_in(config))
    shared: dict[str, Any] = {
        "activation": activation(config.activation),
        "parametrisation": PARAMETRISATIONS[config.parametrisation.kind],
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


def loss(config: schema.Loss) -> losses.Loss:
    """ℓ(F, y).

    Raises:
        ConfigError: there is no such loss.
    """
    match config:
        case schema.SoftHinge():
            return losses.SoftHinge(config.beta)
        case schema.Hinge():
            return losses.Hinge()
        case schema.QuadraticHinge():
            return losses.QuadraticHinge(config.margin_tol)
        case schema.Mse():
            return losses.Mse(config.target, config.margin_tol)
    raise ConfigError(f"loss={config.kind}: there is no such loss.")


def _image_shape(config: schema.Config, data: Dataset) -> tuple[int, int, int]:
    if len(data.shape) != 3:
        raise ConfigError(
            f"architecture={config.architecture.kind}: it takes images, (channels, rows, columns), and patterns of "
            f"dataset={config.dataset.kind} have the shape {data.shape or (data.input_dim,)}."
        )
    return data.shape


def _factory(group: str, target: str, kwargs: dict[str, Any]) -> Callable[[], Any]:
    """What a target makes, not yet made.

    Nested targets among the arguments are left as they are: what they made would be shared by all members.

    Raises:
        ConfigError: Hydra refuses the target, or it cannot be imported.
    """
    key = f"{group}.target={target}"
    try:
        # Hydra's own import, with its list of targets that a configuration may not call.
        made = instantiate({"_target_": target, "_partial_": True, "_recursive_": False, **kwargs})
    except InstantiationException as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error
    return partial(_make, key, made)


def _make(key: str, made: Callable[[], Any]) -> Any:
    with explained(f"{key}: it fails"):
        return made()

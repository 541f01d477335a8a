"""What a user gives from Python, as what can be trained: refused by the rules of a configuration before it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from feature_lazy.core.arrays import real, tensor
from feature_lazy.core.errors import ConfigError
from feature_lazy.data.custom import check_patterns
from feature_lazy.data.labels import Regression
from feature_lazy.data.sense import contradiction, warn_scale
from feature_lazy.dynamics.losses import CrossEntropy, SoftHinge
from feature_lazy.dynamics.own_loss import CustomLoss
from feature_lazy.networks.base import Network
from feature_lazy.networks.functional import check_weights, count_outputs, of_module
from feature_lazy.networks.generic import Generic
from feature_lazy.settings.checks import check_option
from feature_lazy.settings.groups import Loss
from feature_lazy.settings.objects import own
from feature_lazy.settings.registry import find, presets

AnyLoss = Loss | str | Callable[[Tensor, Tensor], Tensor] | None
AnyNetwork = Network | nn.Module | Callable[[Mapping[str, Tensor], Tensor], Tensor]


@dataclass(frozen=True)
class Given:
    """A network, what it is trained on, and by which loss.

    Attributes:
        network: with a member axis.
        weights: initial weights by name, of one member.
        x: training patterns (P, …).
        y: labels (P,), floating point ±1 or real in the dtype of x, or integer classes.
        loss: ℓ for such labels.
    """

    network: Network
    weights: dict[str, Tensor]
    x: Tensor
    y: Tensor
    loss: Loss

    @classmethod
    def of(
        cls, network: AnyNetwork, weights: Mapping[str, Any] | None, train: tuple[Any, Any], loss: AnyLoss
    ) -> "Given":
        """The same from tensors, arrays or lists; see ``follow``.

        Raises:
            ConfigError: a network that cannot be trained, or labels that are not for it or for the loss.
            DataError: patterns, labels or weights that are no arrays of finite real numbers.
        """
        if not isinstance(train, tuple | list) or len(train) != 2:
            raise ConfigError("train must be two: patterns (P, …) and labels (P,).")
        x = patterns(train[0], "training patterns")
        made, weights = _network(network, weights, x)
        chosen = chosen_loss(loss, made.n_outputs)
        y = labels(train[1], x, made.n_outputs, chosen)
        warn_scale(x)
        are_real = y.is_floating_point() and not _is_sign(y)
        return cls(made, weights, x, y, chosen.for_labels(Regression()) if are_real else chosen)

    def check_fit(self) -> None:
        """Refuse training patterns that no network fits: training ends when all are fit.

        Raises:
            ConfigError: two equal patterns with different labels.
        """
        if found := contradiction(self.x, self.y):
            raise ConfigError(f"{found}, so training needs an end, t_end=….")

    def more(self, values: Any, what: str) -> Tensor:
        """Further patterns, of the shape and dtype of those that are trained on.

        Raises:
            ConfigError: other ones.
            DataError: see ``of``.
        """
        if isinstance(values, tuple):
            raise ConfigError(f"the {what} are a pair; give the patterns alone, without labels.")
        x = patterns(values, what)
        if (x.shape[1:], x.dtype) != (self.x.shape[1:], self.x.dtype):
            raise ConfigError(
                f"{what} have the shape {tuple(x.shape[1:])}, training patterns {tuple(self.x.shape[1:])}, and "
                f"{x.dtype} and {self.x.dtype} are their dtypes; both must be the same."
            )
        return x


def patterns(values: Any, what: str) -> Tensor:
    """Patterns (P, …) in their own dtype.

    Raises:
        DataError: see ``data.custom.check_patterns``.
    """
    return check_patterns(real(tensor(values, what), what), what)


def labels(values: Any, x: Tensor, n_outputs: int, loss: Loss) -> Tensor:
    """Labels (P,) of patterns x for a network with C outputs, in the dtype of x, or as int64 where they are classes.

    Raises:
        ConfigError: other labels than network and loss are for.
        DataError: no array of real numbers.
    """
    y = real(tensor(values, "labels"), "labels").detach().to(x.device)
    if y.shape != x.shape[:1]:
        raise ConfigError(f"labels have the shape {tuple(y.shape)} for {len(x)} patterns; it must be ({len(x)},).")
    if n_outputs > 1:
        if y.is_floating_point() or y.dtype == torch.bool or bool(((y < 0) | (y >= n_outputs)).any()):
            raise ConfigError(
                f"the network gives {n_outputs} outputs for each pattern: labels must be the classes 0 … "
                f"{n_outputs - 1}, integers; for labels ±1 it must give one real number, (P,) or (P, 1)."
            )
        what, y = "classes", y.long()
    else:
        # Integers would be taken for classes.
        what, y = "one" if _is_sign(y) else "real", y.to(x) if _is_sign(y) or y.is_floating_point() else y
        if what == "real" and not (y.is_floating_point() and "real" in loss.takes and bool(y.isfinite().all())):
            raise ConfigError(
                "labels must be +1 or −1 for a network with one output, or real numbers, finite and in floating point, "
                "with loss=mse."
            )
    if not (what == "one" and "real" in loss.takes) and (problems := list(loss.misfits(what, "these labels"))):
        raise ConfigError("\n".join(problems))
    return y


def chosen_loss(loss: AnyLoss, n_outputs: int) -> Loss:
    """The loss that is meant: an object, a name, a function ℓ(F, y); None: that of the article, or cross-entropy.

    Raises:
        ConfigError: none of these, or a key out of its range.
    """
    if loss is None:
        return SoftHinge() if n_outputs == 1 else CrossEntropy()
    if callable(loss) and not isinstance(loss, Loss | type):
        return CustomLoss(target=own(loss), labels="classes" if n_outputs > 1 else "one")
    return chosen("loss", loss, Loss)


def chosen(group: str, value: Any, base: type) -> Any:
    """An option of a group, that may be given by its name.

    Raises:
        ConfigError: no option, or a key out of its range.
    """
    made = value
    if isinstance(value, str):
        preset = presets(group).get(value)
        made = find(group, preset.of)(**preset.values) if preset else find(group, value)()
    if not isinstance(made, base):
        name = value.__name__ if isinstance(value, type) else type(value).__name__
        raise ConfigError(f"{group}={name}: must be an object of {base.__module__}.{base.__name__}, or a name.")
    check_option(made, group)
    return made


def _is_sign(y: Tensor) -> bool:
    return y.dtype != torch.bool and bool((y.abs() == 1).all())


def _network(network: AnyNetwork, weights: Mapping[str, Any] | None, x: Tensor) -> tuple[Network, dict[str, Tensor]]:
    """The network with a member axis, and its initial weights.

    Raises:
        ConfigError: there are no weights, or of another dtype than the patterns.
    """
    if isinstance(network, nn.Module):
        network, own = of_module(network)
        weights = own if weights is None else weights
    if weights is None:
        raise ConfigError("weights=None: only a module has weights of its own; give them by name.")
    found = check_weights(weights)
    dtypes = {x.dtype, *(weight.dtype for weight in found.values())}
    if len(dtypes) > 1:
        names = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise ConfigError(f"weights and patterns have different dtypes, {names}: use one, such as float64.")
    if not isinstance(network, Network):
        return Generic.around(network, found, x), found
    shapes = {name: tuple(weight.shape) for name, weight in found.items()}
    if wrong := sorted(name for name, shape in network.layout.shapes.items() if shapes.get(name) != tuple(shape)):
        raise ConfigError(
            f"weight {wrong[0]!r} has the shape {shapes.get(wrong[0])}; the network's is "
            f"{tuple(network.layout.shapes[wrong[0]])}."
        )

    def one(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        f = network.apply({name: weight[None] for name, weight in weights.items()}, x.flatten(1))
        return f[0].unflatten(0, (len(x), -1))

    count_outputs(one, found, x)
    return network, found

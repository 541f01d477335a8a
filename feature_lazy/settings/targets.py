"""What a configuration names by its import path: the only place that imports it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import explained
from feature_lazy.settings.objects import PYTHON, handed


def factory(group: str, target: str, kwargs: dict[str, Any]) -> Callable[[], Any]:
    """What a target makes, not yet made.

    Nested targets among the arguments are left as they are: what they made would be shared by all members.

    Raises:
        ConfigError: Hydra refuses the target, or it cannot be imported.
    """
    key = f"{group}.target={target}"
    if target.startswith(PYTHON):
        return partial(_make, key, partial(handed(f"{group}.target", target), **kwargs))
    try:
        # Hydra's own import, with its list of targets that a configuration may not call.
        made = instantiate({"_target_": target, "_partial_": True, "_recursive_": False, **kwargs})
    except InstantiationException as error:
        raise ConfigError(f"{key}: {' '.join(str(error).split())}") from error
    return partial(_make, key, made)


def imported(key: str, target: str) -> Any:
    """What an import path names, by the key that has it; as Hydra imports it, with its list of what may not be called.

    Raises:
        ConfigError: Hydra refuses it, or it cannot be imported.
    """
    if target.startswith(PYTHON):
        return handed(key, target)
    try:
        return instantiate({"_target_": target, "_partial_": True}).func
    except InstantiationException as error:
        raise ConfigError(f"{key}={target}: {' '.join(str(error).split())}") from error


def function(group: str, target: str, kwargs: dict[str, Any]) -> Callable[..., Any]:
    """A function that a target is, with some of its arguments; or what a target that is a class makes of them.

    Raises:
        ConfigError: it cannot be imported, it is nothing that can be called, or a class that fails.
    """
    key = f"{group}.target"
    found = imported(key, target)
    made = _make(f"{key}={target}", partial(found, **kwargs)) if isinstance(found, type) else found
    if not callable(made):
        raise ConfigError(f"{key}={target}: {type(made).__name__} is no function.")
    return partial(made, **kwargs) if kwargs and not isinstance(found, type) else made


def _make(key: str, made: Callable[[], Any]) -> Any:
    with explained(f"{key}: it fails"):
        return made()

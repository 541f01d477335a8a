"""What a configuration names by its import path: the only place that imports it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import explained


def factory(group: str, target: str, kwargs: dict[str, Any]) -> Callable[[], Any]:
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

"""When does a network learn features, and when does it train lazily (arXiv:1906.08034)?

Heavy modules are imported when they are first used, so that ``train.py --help`` answers at once.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Config": "feature_lazy.settings.config",
    "follow": "feature_lazy.measure.follow",
    "own": "feature_lazy.settings.objects",
    "load_run": "feature_lazy.runs.reading",
    "load_sweep": "feature_lazy.runs.sweep",
    "regime": "feature_lazy.measure.regime",
    "tangent_kernel": "feature_lazy.kernels",
    "train": "feature_lazy.launch.notebook",
}

__all__ = ["Config", "follow", "load_run", "load_sweep", "own", "regime", "tangent_kernel", "train"]  # noqa: F822  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'feature_lazy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

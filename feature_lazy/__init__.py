"""feature_lazy: when does a network learn features, and when does it train lazily? (arXiv:1906.08034)

Heavy modules are imported when they are first used, so that ``train.py --help`` answers at once.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Config": "feature_lazy.config",
    "build": "feature_lazy.build",
    "load_run": "feature_lazy.runs",
    "load_sweep": "feature_lazy.runs",
    "run": "feature_lazy.run",
    "tangent_kernel": "feature_lazy.kernels",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from its home module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'feature_lazy' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    # Without this, ``run`` would be the submodule of that name after its import.
    globals()[name] = value
    return value

"""Hydra plugins: a sweeper that checks every job before the first starts, and a launcher for one machine."""

from hydra_plugins.feature_lazy_plugins.checked_sweeper import CheckedSweeper
from hydra_plugins.feature_lazy_plugins.local_launcher import LocalLauncher

__all__ = ["CheckedSweeper", "LocalLauncher"]

"""Hydra plugins: a sweeper that checks every job before the first starts, and launchers for one machine and SLURM."""

from hydra_plugins.feature_lazy_plugins.checked_sweeper import CheckedSweeper
from hydra_plugins.feature_lazy_plugins.local_launcher import LocalLauncher
from hydra_plugins.feature_lazy_plugins.slurm_launcher import SlurmLauncher

__all__ = ["CheckedSweeper", "LocalLauncher", "SlurmLauncher"]

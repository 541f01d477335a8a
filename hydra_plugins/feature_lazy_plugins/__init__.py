"""Hydra plugins: a sweeper that checks every job before the first starts, and launchers for one machine and SLURM.

Hydra executes every module of a plugin anew, so that its classes are there twice; it leaves those alone whose names
begin with an underscore: what several plugins share is in such.
"""

from hydra_plugins.feature_lazy_plugins.boundary_sweeper import BoundarySweeper
from hydra_plugins.feature_lazy_plugins.checked_sweeper import CheckedSweeper
from hydra_plugins.feature_lazy_plugins.local_launcher import LocalLauncher
from hydra_plugins.feature_lazy_plugins.slurm_launcher import SlurmLauncher

__all__ = ["BoundarySweeper", "CheckedSweeper", "LocalLauncher", "SlurmLauncher"]

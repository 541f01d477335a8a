"""Where runs are shown while they train. Tracking never fails, stops or changes a run.

``Tracker`` is what a tracker is, ``Trackers`` runs several beside the training; each other module is one.
"""

from feature_lazy.runs.tracking.background import HURRY, PATIENCE, Trackers
from feature_lazy.runs.tracking.interface import Tracker

__all__ = ["HURRY", "PATIENCE", "Tracker", "Trackers"]

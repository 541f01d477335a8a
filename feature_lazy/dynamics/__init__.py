"""One integrator for every flow; stepper, controller, observation times and events are separate values."""

from feature_lazy.dynamics.article import ArticleController, ArticleEuler
from feature_lazy.dynamics.events import Event, converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Finished, Limits, Method, Samples, integrate, start
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.times import GivenTimes, LogTimes, ObservationTimes

__all__ = [
    "ArticleController",
    "ArticleEuler",
    "Event",
    "Finished",
    "GivenTimes",
    "Limits",
    "LogTimes",
    "Method",
    "NetworkFlow",
    "ObservationTimes",
    "Outcome",
    "Samples",
    "State",
    "converged",
    "half_loss",
    "integrate",
    "start",
]

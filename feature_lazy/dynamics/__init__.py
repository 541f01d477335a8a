"""One integrator for every flow; stepper, controller, observation times and events are separate values."""

from feature_lazy.dynamics.article import ArticleController, ArticleEuler
from feature_lazy.dynamics.auto import Auto
from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.events import Event, converged, half_loss
from feature_lazy.dynamics.flow import Flops, NetworkFlow
from feature_lazy.dynamics.integrate import Finished, Limits, Method, Samples, integrate, start
from feature_lazy.dynamics.methods import STEPPERS, method
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.rk32 import RungeKutta32
from feature_lazy.dynamics.rkc2 import Chebyshev2
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.tangent import TangentExponential
from feature_lazy.dynamics.times import GivenTimes, LogTimes, ObservationTimes

__all__ = [
    "STEPPERS",
    "ArticleController",
    "ArticleEuler",
    "Auto",
    "Chebyshev2",
    "Event",
    "Finished",
    "Flops",
    "GivenTimes",
    "Limits",
    "LogTimes",
    "Method",
    "NetworkFlow",
    "ObservationTimes",
    "Outcome",
    "RungeKutta32",
    "Samples",
    "SmoothController",
    "State",
    "TangentExponential",
    "converged",
    "half_loss",
    "integrate",
    "method",
    "start",
]

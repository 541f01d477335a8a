"""One integrator for every flow; stepper, controller, observation times and events are separate values."""

from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.events import Event, converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, Method, integrate, start
from feature_lazy.dynamics.linearised import LinearisedFlow
from feature_lazy.dynamics.messages import Advanced, Finished, Samples
from feature_lazy.dynamics.methods import STEPPERS, method
from feature_lazy.dynamics.minibatch import AcceptFinite, Adam, MinibatchTraining, Sgd, Updates
from feature_lazy.dynamics.momentum import MomentumFlow, relaxation_time
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.steppers.article import ArticleController, ArticleEuler
from feature_lazy.dynamics.steppers.auto import Auto
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.steppers.tangent import TangentExponential
from feature_lazy.dynamics.system import Flops
from feature_lazy.dynamics.times import GivenTimes, LogTimes, ObservationTimes

__all__ = [
    "STEPPERS",
    "AcceptFinite",
    "Adam",
    "Advanced",
    "ArticleController",
    "ArticleEuler",
    "Auto",
    "Chebyshev2",
    "Event",
    "Finished",
    "Flops",
    "GivenTimes",
    "Limits",
    "LinearisedFlow",
    "LogTimes",
    "Method",
    "MinibatchTraining",
    "MomentumFlow",
    "NetworkFlow",
    "ObservationTimes",
    "Outcome",
    "RungeKutta32",
    "Samples",
    "Sgd",
    "SmoothController",
    "State",
    "TangentExponential",
    "Updates",
    "converged",
    "half_loss",
    "integrate",
    "method",
    "relaxation_time",
    "start",
]

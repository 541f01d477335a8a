"""Every method by its name."""

from feature_lazy.core.arrays import number
from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.dense import Search
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.steppers.article import ArticleController, ArticleEuler
from feature_lazy.dynamics.steppers.auto import Auto
from feature_lazy.dynamics.steppers.focus import Focused
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.steppers.tangent import TangentExponential

STEPPERS = {"auto": Auto, "rk32": RungeKutta32, "rkc2": Chebyshev2, "tangent": TangentExponential}
"""Steppers that take a tolerance."""

GLOBAL_ERROR = 1.0
"""C of every stepper: at the end of a run the relative errors of F on the test set and of w − w₀ are at most C times
the tolerance. Errors of steps are relative to the path, and they die out where the flow contracts. Measured on digits
for tolerances from 1e-1 to 1e-5 (benchmarks/results/solvers.md): at most 0.62 for rk32, 0.69 for rkc2, 0.39 for tangent
and 0.39 for auto."""


FINE = Search(22, secants=3)
"""How events are located: a lazy run has few steps, and a time may be off by the tolerance, which is 1e-5 and more."""


def method(
    name: str, tolerance: float, *, eps_gradient: float = 1e-4, eps_output: float = 0.1, smooth: bool = False
) -> Method:
    """A stepper with the controller that belongs to it.

    Args:
        name: ``article`` or a key of ``STEPPERS``.
        tolerance: bound on the error of a step over the change that it makes; for every method but the article's.
        eps_gradient: ε_∇ of eq. 8, for the article's method.
        eps_output: ε_F of eq. 9, for the article's method.
        smooth: the article's bounds with a smooth controller in place of the authors'.

    Raises:
        ConfigError: there is no such stepper, or a tolerance that is not positive.
    """
    for key, value in {"tolerance": tolerance, "eps_gradient": eps_gradient, "eps_output": eps_output}.items():
        number(value, key, gt=0)
    if name != "article" and name not in STEPPERS:
        raise ConfigError(f"stepper {name!r}: there is none; choose one of article, {', '.join(STEPPERS)}.")
    if name == "article":
        controller = SmoothController() if smooth else ArticleController()
        return Method(ArticleEuler(eps_gradient, eps_output), controller)
    stepper = STEPPERS[name](tolerance)
    return Method(stepper if name == "auto" else Focused(stepper, tolerance), SmoothController(), FINE)

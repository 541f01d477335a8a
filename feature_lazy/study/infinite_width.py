"""What the infinitely wide lazy network predicts where a stored run stands: the h → ∞ line of Figs. 3 and 4."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.core.files import read_regular, write_atomically
from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.core.shapes import ANYTHING, NUMBER, Record
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.frozen import SettlingFlow
from feature_lazy.dynamics.integrate import Limits, Method, finish, start
from feature_lazy.dynamics.losses import LossForce
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.steppers.rkc2 import SAFETY, Chebyshev2
from feature_lazy.networks.base import Network
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.runs.batch import build
from feature_lazy.runs.network import stored_config
from feature_lazy.settings.cells import targets
from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Loss

log = logging.getLogger(__name__)

FILE = "infinite_width.json"
"""Beside the runs of a sweep."""
VERSION = 1
"""Raised with every change of what is computed here."""
KNOWN = Record(rest=Record({"test_error": NUMBER}, rest=ANYTHING))
"""What the file holds, by a hash of what it depends on."""
NOT_ITS_OWN = ("alpha", "width", "seed", "dynamics", "observe", "dtype")
"""Keys of a run's configuration on which the limit h → ∞ at α ≫ 1/√h does not depend."""
TOLERANCE = 1e-3
"""Tolerance of the flow; the error of F at its end is below it."""
MATRICES = 5
"""P × P numbers held at a time: both kernels, and what a block of them is made of."""
MAX_STEPS = 100_000


@dataclass(frozen=True)
class LazyLimit:
    """The predictor of the infinitely wide network at the end of its lazy training.

    Attributes:
        F_train: F on the training set, (P,) float64.
        F_test: F on the test set, (P_test,) float64.
        t_stop: when every training pattern was fit, in the article's t.
    """

    F_train: Tensor
    F_test: Tensor
    t_stop: float


def lazy_limit(
    network: Network, data: Dataset, loss: Loss, *, memory_limit: float = 2.0**30, tolerance: float = TOLERANCE
) -> LazyLimit:
    """Train the infinitely wide network: dF/dt = −(1/P) Θ∞ ∂ℓ/∂F from F = 0 until all patterns are fit (eq. 25).

    Θ∞ is analytic (``kernels.limit_kernels``) and stays put, so that F_test = K_test,train a with a = −∫ ∂ℓ/∂F ds/P.

    Args:
        network: one that has a limit; its widths do not matter.
        data: patterns and labels ±1.
        loss: ℓ, whose stop rule ends the flow.
        memory_limit: bytes for the kernels.
        tolerance: of the flow.

    Raises:
        ConfigError: a network without a limit, kernels larger than the memory limit, a loss without a gradient flow,
            labels that are not ±1, or a flow that does not fit every pattern.
        NumericalError: an activation whose kernel is not to be had.
    """
    x, y = data.x_train.double(), data.y_train.double()
    if (needed := MATRICES * 8.0 * len(x) ** 2) > memory_limit:
        raise ConfigError(f"P = {len(x)} takes {needed:.2g} bytes of memory, more than the limit of {memory_limit:.2g}")
    theta = limit_kernels(network, x).ntk
    a, t_stop = flow_end(theta, y, loss, tolerance)
    size = chunk_size(len(data.x_test), MATRICES * 8.0 * len(x), memory_limit)
    tests = [limit_kernels(network, data.x_test[part], x).ntk @ a for part in chunks(len(data.x_test), size)]
    return LazyLimit(theta @ a, torch.cat(tests), t_stop)


def flow_end(theta: Tensor, y: Tensor, loss: Loss, tolerance: float = TOLERANCE) -> tuple[Tensor, float]:
    """The a = −∫ ∂ℓ/∂F ds/P and the t where every pattern is fit, for Θ (P, P) and y (P,); F = Θa from F = 0.

    Raises:
        ConfigError: a loss without a gradient flow, labels that are not ±1, or it does not come to that.
    """
    if loss.curvature == float("inf"):
        raise ConfigError("the loss has a kink, or a curvature that is not known, which its flow does not pass")
    if y.shape != theta.shape[:1] or not bool((y.abs() == 1).all()):
        raise ConfigError("the labels are not ±1")
    flow = SettlingFlow(theta[None], torch.zeros_like(y)[None], lambda _: LossForce(loss, y, len(y)))
    radius = SAFETY * flow.radius() * loss.curvature / len(y)
    method = Method(Chebyshev2(tolerance, radius), SmoothController())
    one = torch.ones_like(radius)
    # F begins to move by its own size in 1/ρ. The tolerance is for F; a is free, as in ``dynamics.path``.
    state = start(flow, method.stepper, torch.zeros_like(y)[None], one / radius, 1)
    state = replace(state, way=torch.stack([one * torch.inf, 0 * one], dim=1))
    limits = Limits(1e-12, one, max_steps=MAX_STEPS)
    ended = finish(flow, method, state, limits, events=[converged(loss, y)])
    if ended.outcomes != [Outcome.CONVERGED]:
        raise ConfigError(f"its training ended at t = {float(ended.state.t):.3g} with {ended.outcomes[0]}")
    return ended.state.y[0], float(ended.state.t)


def stored_test_error(
    folder: Path, science: Mapping[str, Any], *, data: Path | None = None, memory_limit: float | None = None
) -> float | None:
    """Fraction of test patterns with F·y ≤ 0 of the infinitely wide network, for the configuration of a stored run.

    It is computed once, and kept in ``infinite_width.json`` by a hash of what it depends on.

    Args:
        folder: the results folder of the sweep.
        science: ``Run.config``.
        data: where the files of its data lie, see ``runs.network.stored_config``.
        memory_limit: bytes for the kernels; the default of ``memory_limit`` of a run if omitted.

    Returns:
        The error, or None where there is no such line; the log says why.
    """
    if why := of_another_limit(science):
        log.warning("No line of infinite width in the figures: %s.", why)
        return None
    own = {name: value for name, value in science.items() if name not in NOT_ITS_OWN}
    key = hashlib.sha256(json.dumps({"version": VERSION, **own}, sort_keys=True).encode()).hexdigest()[:16]
    known = _load(folder / FILE)
    if key not in known:
        try:
            known[key] = {"config": own, **_computed(stored_config(science, data), memory_limit)}
        except FeatureLazyError as error:
            log.warning("No line of infinite width in the figures: %s.", str(error).rstrip("."))
            return None
        try:
            write_atomically(folder / FILE, json.dumps(known, indent=1).encode(), below=folder)
        except OSError as error:
            log.warning("%s cannot be written (%s); it is computed again the next time.", folder / FILE, error.strerror)
    return known[key]["test_error"]


def of_another_limit(science: Mapping[str, Any]) -> str | None:
    """Why a run does not go to the lazy limit of a whole network from Gaussian weights; None: it does."""
    if "train" in science.get("dynamics", {}):
        return "only some of the weights are trained"
    if "regulariser" in science:
        return "there is a regulariser, under which not every pattern is fit"
    if "prior" in science:
        return "a prior gives each network a kernel of its own"
    return "the runs start from stored ones" if science.get("seed", {}).get("kind") == "from_run" else None


def _computed(config: Config, memory_limit: float | None) -> dict[str, float]:
    """Test error and t_stop.

    Raises:
        ConfigError: a network whose limit is not known or that is not in the NTK parametrisation, or data of the user's
            own, whose code analysis must not run; see also ``lazy_limit``.
    """
    if not config.architecture.infinite or config.dataset.own_labels or targets(config):
        raise ConfigError("the network's limit is not known, or its data need code of the user's own")
    if config.parametrisation.exponents is not NTK:
        raise ConfigError("the parametrisation is not ntk")
    if config.activation.by_surrogate:
        raise ConfigError("the kernel of surrogate gradients is not symmetric")
    batch = build(config)
    network, data = batch.architecture, batch.dataset
    limit = lazy_limit(network, data, batch.loss, memory_limit=memory_limit or batch.memory_limit)
    wrong = limit.F_test * data.y_test <= 0
    return {"test_error": float(wrong.double().mean()), "t_stop": limit.t_stop}


def _load(path: Path) -> dict[str, Any]:
    """What was computed before; nothing if the file is missing or damaged, since it can be made again."""
    try:
        known = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return {} if KNOWN.misfit(known) else known

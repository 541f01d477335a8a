"""Every method against trajectories of SciPy's DOP853 (``data/README.md``), from the same weights and data."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from feature_lazy.dynamics.events import converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, integrate, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.messages import Samples
from feature_lazy.dynamics.methods import GLOBAL_ERROR, STEPPERS, method
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.times import GivenTimes
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.networks.activations import Scaled, softplus
from feature_lazy.networks.fully_connected import FullyConnected
from tests.conftest import ROOT

DATA = ROOT / "tests" / "data"
# Named and not globbed: a file that is missing must fail.
ORACLES = [DATA / f"fc_digits_P100_h30_{case}.npz" for case in ("L2_sa0.1", "L3_sa0.01", "L3_sa1", "L3_sa1000")]
each_oracle = pytest.mark.parametrize("path", ORACLES, ids=lambda path: path.stem)
METHODS = {name: method(name, 1e-2) for name in ("article", *STEPPERS)}
METHODS["article finer"] = method("article", 1e-2, eps_gradient=1e-5)
each_method = pytest.mark.parametrize("method", [name for name in METHODS if name != "article finer"])

# Measured: at ε_∇ = 1e-4 the article's rule is off by up to 6 % at fast moments of feature runs (data/README.md); the
# other methods have the same task.
PREDICTOR = 0.08
# Measured: t_stop within 0.25 %, t_half within 0.33 %.
TIMES = 0.005


@dataclass(frozen=True)
class Setting:
    """What an oracle file fixes: network, initial weights, data, α."""

    oracle: dict[str, np.ndarray]
    network: FullyConnected
    w0: torch.Tensor
    alpha: torch.Tensor

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.oracle[key])

    @property
    def kernel_tolerance(self) -> float:
        """In the feature regime Θ grows like ‖f‖^{2L/(L+1)} (eq. 24), and so does its relative error."""
        depth = len(self.network.widths)
        return PREDICTOR * 2 * depth / (depth + 1)

    def predictor(self, w: torch.Tensor, name: str) -> torch.Tensor:
        """F on the set ``name`` for weights (k, N): (k, P)."""
        f, f0 = (self.network.apply(self.network.layout.unflatten(v), self[f"x_{name}"]) for v in (w, self.w0))
        return self.alpha * (f - f0)

    def kernel(self, w: torch.Tensor, name: str) -> torch.Tensor:
        """Θ on the set ``name`` for weights (k, N): (k, P, P)."""
        return tangent_kernel(self.network, self.network.layout.unflatten(w), self[f"x_{name}"])


@dataclass(frozen=True)
class Followed:
    """Weights (10, N) at the listed times, and the times of the events."""

    w: torch.Tensor
    t_half: float
    t_stop: float


@cache
def setting(path: Path) -> Setting:
    with np.load(path, allow_pickle=False) as file:
        oracle = dict(file)
    depth, h, d = int(oracle["L"]), int(oracle["h"]), oracle["x_train"].shape[1]
    activation = Scaled(lambda z: softplus(z, 5.0), float(oracle["act_factor"]))
    network = FullyConnected(d, [h] * depth, activation)
    w0 = network.layout.flatten({name: torch.from_numpy(oracle[name])[None] for name in network.layout.shapes})
    return Setting(oracle, network, w0, torch.from_numpy(oracle["alpha"]).reshape(1))


@cache
def follow(path: Path, method: str) -> Followed:
    """Integrate; the last listed time is t_stop, where the state is the final one."""
    s, loss = setting(path), SoftHinge()
    flow = NetworkFlow(s.network, s["x_train"], s["y_train"], loss, alpha=s.alpha, w0=s.w0)
    scale = torch.clamp(s["sqrt_h_alpha"].reshape(1), max=1.0)
    events = [half_loss(loss, s["y_train"]), converged(loss, s["y_train"])]
    times = GivenTimes(s.oracle["t"][:-1].tolist())
    parts = list(
        integrate(
            flow,
            METHODS[method],
            start(flow, METHODS[method].stepper, s.w0, scale, 2),
            [times],
            events,
            Limits(1e-12, scale, max_steps=50_000),
        )
    )
    finished = parts.pop()
    assert finished.outcomes == [Outcome.CONVERGED]
    parts = [part for part in parts if isinstance(part, Samples)]
    # The first sample is t = 0, which the oracle does not list.
    w = torch.cat([*(part.y for part in parts), finished.state.y])[1:]
    assert len(w) == 10
    return Followed(w, *finished.state.event_times[0].tolist())


def relative(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Relative norm of the difference, for each listed time."""
    return (found - expected).norm(dim=1) / expected.norm(dim=1)


@each_method
@each_oracle
def test_predictor(path, method):
    s, followed = setting(path), follow(path, method)
    for name in ("train", "test"):
        assert relative(s.predictor(followed.w, name), s[f"F_{name}"]).max() < PREDICTOR


@each_method
@each_oracle
def test_times_of_half_loss_and_stop(path, method):
    s, followed = setting(path), follow(path, method)
    assert followed.t_half == pytest.approx(float(s["t_half"]), rel=TIMES)
    assert followed.t_stop == pytest.approx(float(s["t_stop"]), rel=TIMES)


@each_method
@each_oracle
def test_weight_change(path, method):
    s, followed = setting(path), follow(path, method)
    change = (followed.w - s.w0).norm(dim=1) / s.w0.norm()
    layers = s.network.layout.unflatten(followed.w - s.w0)
    of_layers = torch.stack([layers[name].flatten(1).norm(dim=1) for name in s.network.layout.shapes], dim=1)
    torch.testing.assert_close(change, s["weight_change_rel"], rtol=PREDICTOR, atol=0)
    torch.testing.assert_close(of_layers, s["layer_weight_change"], rtol=PREDICTOR, atol=0)


@each_method
@each_oracle
@pytest.mark.parametrize("name", ["train", "test"])
def test_kernel_change(path, method, name):
    s, followed = setting(path), follow(path, method)
    change = relative_change(s.kernel(followed.w, name), s.kernel(s.w0, name))
    torch.testing.assert_close(change, s[f"kernel_change_rel_{name}"], rtol=s.kernel_tolerance, atol=0)


@each_method
@each_oracle
def test_kernels_at_start_and_end(path, method):
    s, followed = setting(path), follow(path, method)
    start_error = relative_change(s.kernel(s.w0, "test")[0], s["kernel_test_0"])
    end_error = relative_change(s.kernel(followed.w[-1:], "test")[0], s["kernel_test_end"])
    assert start_error < 1e-10
    assert end_error < s.kernel_tolerance


@pytest.mark.slow
@each_oracle
def test_ten_times_finer_is_thrice_closer(path):
    """Steps ~ √ε_∇, Euler has order 1: √10 times closer, less what the starting step leaves (data/README.md)."""
    s, coarse, fine = setting(path), follow(path, "article"), follow(path, "article finer")
    errors = [relative(s.predictor(followed.w, "test"), s["F_test"])[1:] for followed in (coarse, fine)]
    assert (errors[0] / errors[1]).min() > 2.5
    assert fine.t_stop == pytest.approx(float(s["t_stop"]), rel=TIMES / math.sqrt(10))


@each_oracle
@pytest.mark.parametrize("name", list(STEPPERS))
@pytest.mark.parametrize("tolerance", [1e-1, pytest.param(1e-3, marks=pytest.mark.slow)])
def test_error_at_the_end_is_within_the_tolerance(path, name, tolerance):
    """The meaning of ``tolerance``, against trajectories of DOP853 at 1e-10 (data/README.md)."""
    METHODS[key := f"{name} {tolerance}"] = method(name, tolerance)
    s, followed = setting(path), follow(path, key)
    error = relative(s.predictor(followed.w[-1:], "test"), s["F_test"][-1:])
    assert error < GLOBAL_ERROR * tolerance
    change = float((followed.w[-1] - s.w0).norm() / s.w0.norm() / s["weight_change_rel"][-1])
    assert abs(change - 1) < GLOBAL_ERROR * tolerance

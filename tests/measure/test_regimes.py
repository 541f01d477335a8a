"""The regime report: what it measures, where it puts the boundary, and what it says."""

import math
import re

import pytest
import torch
from torch import nn

from feature_lazy import follow, regime
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.dynamics.choices import FrozenKernel
from feature_lazy.dynamics.methods import method
from feature_lazy.launch.commands import main
from feature_lazy.measure.regime import Evidence, Regime
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from tests.arrays import normal

X = normal(36, 5)
Y = torch.sign(X[:, 0] * X[:, 1] + 0.1 * X[:, 2])
TRAIN, TEST = (X[:16], Y[:16]), (X[16:], Y[16:])
NET = FullyConnected(5, [12, 12], scaled(Softplus(5.0)))


@pytest.fixture(scope="module")
def report():
    return regime(NET, NET.init(0), TRAIN, TEST, alpha=1.0, others=(0.01, 10.0, 100.0))


def test_small_alpha_learns_features_and_large_alpha_is_lazy(report):
    assert [row.alpha for row in report.rows] == [0.01, 1.0, 10.0, 100.0]
    assert [row.regime for row in report.rows][::3] == ["feature", "lazy"]
    assert all(row.outcome == "converged" for row in report.rows)
    assert report.rows[0].alpha < report.alpha_star < report.rows[2].alpha
    # Lazy: what the linearisation misses falls as 1/α (eq. 18 and below), here to a tenth and a half of it.
    fall = report.rows[2].linearisation_error / report.rows[3].linearisation_error
    assert 5 < fall < 20
    assert report.rows[3].kernels > 0


def test_numbers_are_those_of_the_trajectory(report):
    run = follow(NET, NET.init(0), TRAIN, alpha=1.0, test=TEST[0], times=[])
    theta0, theta = run.kernel(0, TEST[0]), run.kernel(-1, TEST[0])
    here = report.here
    assert here.kernel_change == pytest.approx(float((theta - theta0).norm() / theta0.norm()), rel=1e-10)
    assert here.weight_change == pytest.approx(float((run.w[-1] - run.w[0]).norm() / run.w[0].norm()), rel=1e-10)
    assert here.test_error == float((run.F_test[-1] * TEST[1] <= 0).double().mean())
    linear = FrozenKernel(method("auto", 1e-4))
    lazy = follow(NET, NET.init(0), TRAIN, alpha=1.0, test=TEST[0], times=[], dynamics=linear)
    error = float((run.F_test[-1] - lazy.F_test[-1]).norm() / lazy.F_test[-1].norm())
    # Two integrators at a tolerance of 1e-2 and 1e-4.
    assert here.linearisation_error == pytest.approx(error, rel=0.05)


def evidence(alpha, change, outcome="converged"):
    return Evidence(alpha, outcome, 1.0, change, 0.1, 0.2, 3, 0.0)


def test_the_boundary_is_interpolated_in_logarithms(report):
    below, above = (
        row for row in report.rows if (row.alpha in (1.0, 10.0) if report.alpha_star > 1 else row.alpha <= 1)
    )
    share = math.log(report.alpha_star / below.alpha) / math.log(above.alpha / below.alpha)
    change = (1 - share) * math.log(below.kernel_change) + share * math.log(above.kernel_change)
    assert change == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "star", "words"),
    [
        ((30.0, 5.0, 0.5), 3.0, "learns features at α = 1: .* lies at α. = 3, 3 times larger"),
        ((30.0, 0.05, 0.01), 0.1, "trains lazily at α = 1: .* lies at α. = 0.1, 10 times smaller"),
        ((30.0, 0.5, 0.01), 0.5, "is between the regimes at α = 1: its kernel changes by 0.5"),
        ((0.3, 0.05, 0.01), math.nan, "The boundary, a kernel change of 1, lies below α = 0.1, the last"),
        ((30.0, 5.0, 2.0), math.nan, "lies above α = 10, the last"),
    ],
)
def test_words(changes, star, words):
    rows = [evidence(alpha, change) for alpha, change in zip((0.1, 1.0, 10.0), changes, strict=True)]
    assert re.search(words, Regime(1.0, rows, star).words)


def test_an_unfinished_training_is_said_to_be_one():
    text = Regime(1.0, [evidence(1.0, 0.5, "dt_floor")], math.nan).words
    assert "ended with dt_floor before every pattern was fit" in text


def test_further_alphas_are_tried_until_the_boundary_lies_between():
    found = regime(NET, NET.init(0), TRAIN, (TEST[0], None), alpha=100.0, others=())
    assert found.rows[0].kernel_change >= 1 > found.rows[1].kernel_change
    assert found.rows[0].alpha < found.alpha_star < found.rows[1].alpha
    assert found.rows[-1].alpha == 100.0
    assert math.isnan(found.here.test_error)


def test_any_module_can_be_asked_about():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    few = (X[:6], torch.sign(X[:6, 0]))
    found = regime(module, None, few, TEST, alpha=100.0, others=(10.0,))
    assert found.here.regime == "lazy"
    errors = [row.linearisation_error for row in found.rows]
    assert errors == sorted(errors, reverse=True)


def test_classes_are_compared_output_by_output():
    net = FullyConnected(5, [8], scaled(Softplus(5.0)), n_outputs=3)
    classes = X[:, :3].argmax(1)
    train, test = (X[:6], classes[:6]), (X[16:], classes[16:])
    found = regime(net, net.init(0), train, test, alpha=1000.0, others=(1e-3,))
    run = follow(net, net.init(0), train, alpha=1000.0, test=test[0], times=[])
    assert found.here.regime == "lazy"
    assert found.here.test_error == float((run.F_test[-1].argmax(-1) != test[1]).double().mean())
    lazy = follow(
        net, net.init(0), train, alpha=1.0, test=test[0], times=[], dynamics=FrozenKernel(method("auto", 1e-4))
    )
    one = follow(net, net.init(0), train, alpha=1.0, test=test[0], times=[])
    error = float((one.F_test[-1] - lazy.F_test[-1]).norm() / lazy.F_test[-1].norm())
    [at_one] = [row for row in found.rows if row.alpha == 1.0]
    assert at_one.linearisation_error == pytest.approx(error, rel=0.05)


def test_nothing_to_compare_on_is_refused():
    with pytest.raises(DataError, match="the test patterns have the shape"):
        regime(NET, NET.init(0), TRAIN, (X[:0], None), alpha=1.0)
    with pytest.raises(ConfigError, match=r"alpha=-1.0: must be a finite number greater than 0"):
        regime(NET, NET.init(0), TRAIN, TEST, alpha=-1.0)


def test_command(tmp_path, capsys):
    overrides = ["dataset.n_train=20", "dataset.n_test=20", "architecture.depth=1", "width.h=10"]
    figure = tmp_path / "new" / "regime.png"
    probe = ["observe.kernel.probe=10", "alpha.value=100", f"output_dir={figure.parent}"]
    assert main(["regime", *overrides, *probe, "--factors", "0.1"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "lazily at α = 31.6" in printed
    assert "√h·α" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")

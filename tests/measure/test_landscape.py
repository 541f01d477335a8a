"""Planes of the loss: its values and axes against definitions written out, what is drawn, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.losses import CrossEntropy
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.launch.commands import landscape as command
from feature_lazy.launch.commands import main
from feature_lazy.measure.landscape import AXES, BETAS, plane
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import partly
from feature_lazy.runs.job import train_config
from feature_lazy.runs.landscape import stored_curvature
from tests.arrays import normal
from tests.conftest import QUICK, TINY

NET = FullyConnected(4, [5, 6], scaled(Tanh()), n_outputs=2, bias=0.3)
X, Y = normal(6, 4, seed=1), torch.tensor([0, 1, 0, 1, 0, 1])
W = NET.layout.flatten({k: v[None] for k, v in NET.init(0).items()}) + normal(1, NET.layout.size, seed=5) / 3
ALPHA, F0 = torch.tensor([1.5], dtype=torch.float64), normal(1, 12, seed=2)


def curvature(net=NET, limit=float("inf")):
    return Curvature(net, W, X, Y, CrossEntropy(), ALPHA, F0, limit)


def objective(w):
    f = NET.apply(NET.layout.unflatten(w[None]), X)
    return CrossEntropy()(ALPHA * (f - F0), Y).sum() / (ALPHA[0] ** 2 * len(X))


def test_values_are_those_of_the_loss():
    found = plane(curvature(limit=20000), "random", 0.7, 5)
    for i, j in ((0, 0), (2, 2), (1, 4)):
        w = W[0] + found.steps[i] * found.axes[0] + found.steps[j] * found.axes[1]
        assert float(found.loss[i, j]) == pytest.approx(float(objective(w)), rel=1e-12)
    assert found.steps.tolist() == pytest.approx([-0.7, -0.35, 0, 0.35, 0.7])
    assert found.eigenvalues.isnan().all()


def test_curvature_along_hessian_axes_is_their_eigenvalue():
    values = torch.linalg.eigvalsh(torch.func.jacrev(torch.func.grad(objective))(W[0]))
    found = plane(curvature(), "hessian", 1e-3, 3)
    torch.testing.assert_close(found.eigenvalues, values.flip(0)[:2], rtol=1e-9, atol=0)
    torch.testing.assert_close(found.curvatures, values.flip(0)[:2], rtol=1e-4, atol=0)
    torch.testing.assert_close(found.axes @ found.axes.mT, torch.eye(2).double(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("axes", ["random", "adam"])
def test_rows_are_as_long_as_those_of_the_weights(axes):
    named = NET.layout.unflatten(plane(curvature(), axes, 1, 3).axes)
    for name, w in NET.layout.unflatten(W).items():
        lengths = w.flatten(2).norm(dim=2).expand(2, -1)
        torch.testing.assert_close(named[name].flatten(2).norm(dim=2), lengths)


def test_moments_of_adam():
    """Decayed means over minibatches of two, each with its own gradient; rows scaled after."""
    from feature_lazy.core.streams import stream
    from feature_lazy.measure.landscape import adam_moments

    first = second = torch.zeros_like(W[0])
    order = torch.from_numpy(stream(0, "landscape batches").permutation(6))
    for chosen in order.split(2):

        def part(w, chosen=chosen):
            f = NET.apply(NET.layout.unflatten(w[None]), X[chosen])
            f0 = F0.unflatten(1, (6, 2))[:, chosen].flatten(1)
            return CrossEntropy()(ALPHA * (f - f0), Y[chosen]).sum() / (ALPHA[0] ** 2 * 2)

        gradient = torch.func.grad(part)(W[0])
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
    torch.testing.assert_close(adam_moments(curvature(), 2), torch.stack([first, second]))


@pytest.mark.parametrize("axes", AXES)
def test_what_is_not_trained_stays(axes):
    net = partly(NET, ["W1"])
    named = net.layout.unflatten(plane(curvature(net), axes, 0.1, 3).axes)
    assert named["W1"].any()
    assert not any(part.any() for name, part in named.items() if name != "W1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("random", 1, 4), "4 points along an axis: take an odd number"),
        (("random", 0, 5), "A span of 0"),
        (("random", math.nan, 5), "A span of nan"),
    ],
)
def test_refused(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        plane(curvature(), *words)


@pytest.mark.parametrize("centred", [True, False])
def test_of_a_stored_run(tiny, tmp_path, capsys, centred):
    """Its loss is the one that the run has at its end, and the files have all points."""
    assert command.AXES == AXES
    words = ("observe.weights=ends", "dynamics.t_end=1", "loss=mse", "activation=relu", f"centred={centred}")
    [run_id] = train_config(tiny(*TINY, *QUICK, *words))
    folder = tmp_path / "results" / "runs" / run_id
    found, config = stored_curvature(folder)
    from feature_lazy.runs.reading import load_run

    run = load_run(folder)
    assert float(found.value) * run.columns["alpha"] ** 2 == pytest.approx(run.summary["train/loss"], rel=1e-9)
    test, _ = stored_curvature(folder, "test")
    assert float(test.value) * run.columns["alpha"] ** 2 == pytest.approx(run.summary["test/loss"], rel=1e-9)
    out = tmp_path / "plane"
    assert main(["landscape", str(folder), "--points", "3", "--span", "0.1", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "activation=relu has a kink" in shown
    assert "the Hessian's eigenvalue is" in shown
    assert max(map(len, shown.splitlines())) <= 200
    rows = pd.read_csv(f"{out}.csv")
    assert list(rows) == ["a", "b", "loss"]
    assert rows["a"].tolist() == pytest.approx([-0.1] * 3 + [0] * 3 + [0.1] * 3)
    assert rows["loss"][4] == pytest.approx(float(found.value))
    assert (tmp_path / "plane.png").stat().st_size > 5000
    for more, sentence in (
        (["--patterns", "21"], "the train set of"),
        (["--points", "2"], "2 points along an axis"),
    ):
        assert main(["landscape", str(folder), "--out", str(out), *more]) == 1
        assert sentence in capsys.readouterr().err
    assert config.activation.kind == "relu"


def test_runs_without_weights_are_refused(tiny, tmp_path, capsys):
    [run_id] = train_config(tiny(*TINY, *QUICK, "dynamics.t_end=1"))
    assert main(["landscape", str(tmp_path / "results" / "runs" / run_id)]) == 1
    assert "has no weights to draw from: " in capsys.readouterr().err
    assert not np.any(list(tmp_path.glob("*.csv")))

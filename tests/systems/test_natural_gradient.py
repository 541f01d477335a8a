"""Natural gradients: updates written out as matrices, what is the same for all parts of G, laws, and refusals."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import CrossEntropy, Mse
from feature_lazy.kernels.shifted import shifted_solve
from feature_lazy.networks.activations import Erf, Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.natural_gradient import claim
from feature_lazy.systems.natural_gradient.option import NaturalGradient
from feature_lazy.systems.natural_gradient.parts import BLOCK, EXACT, KFAC, TRIDIAGONAL, UNIT
from feature_lazy.systems.natural_gradient.update import NaturalGradientTraining
from tests.conftest import TINY
from tests.systems.reference import reference

PARTS = (EXACT, BLOCK, TRIDIAGONAL, KFAC, UNIT)
JOB = (*TINY, "dynamics=natural_gradient", "loss=mse", "dataset.n_train=8", "alpha.value=100")


def moved(flow, w, **keys):
    """One update of every member."""
    member = torch.arange(len(w))
    system = NaturalGradientTraining(flow, NaturalGradient(**keys), torch.ones(len(w)).double())
    return system.updates(w, member, member * 0, 1) - w


@pytest.mark.parametrize("fisher", PARTS)
def test_equals_an_update_by_matrices_that_were_written_out(fisher):
    known = reference("natural_gradient")
    net = FullyConnected(known["x"].shape[1], [known["h"]] * 2, scaled(Erf()))
    alpha = torch.full((1,), known["alpha"], dtype=torch.float64)
    flow = NetworkFlow(net, known["x"], known["y"], Mse(), alpha=alpha, w0=known["w0"][None])
    step = moved(flow, known["weights"][None], fisher=fisher, step=known["step"], damping=known["damping"])
    torch.testing.assert_close(step[0], known[fisher], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("fisher", "bias"), [(f, b) for f in PARTS[:4] for b in (False, True)])
def test_to_first_order_every_output_goes_the_same_share_of_its_way(fisher, bias):
    """JG⁻¹Jᵀ/P = c·1 (Table 1), for members of different α, and with biases in the blocks of their layers."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(5, 7, generator=random, dtype=torch.float64)
    y = torch.tensor([1.0, -1, 1, -1, 1], dtype=torch.float64)
    net = FullyConnected(7, [9, 8], scaled(Erf()), bias=0.5 if bias else None)
    w = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    alpha = torch.tensor([3.0, 50.0], dtype=torch.float64)
    flow = NetworkFlow(net, x, y, Mse(), alpha=alpha, w0=w + 0.1)
    member, tiny = torch.tensor([0, 1]), 1e-5
    before = flow.outputs(w, member)
    after = flow.outputs(w + tiny * moved(flow, w, fisher=fisher, step=0.3), member)
    # A difference quotient of outputs of order 1, and λ = 1e-10 beside condition numbers of 1e3.
    torch.testing.assert_close((after - before) / tiny, -0.3 * (before - y), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fisher", [EXACT, BLOCK])
def test_of_cross_entropy_it_is_newtons_step_in_the_outputs(fisher):
    """D ΔF = −step·ℓ′: to first order along all that the loss sees of the outputs."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 12, generator=random, dtype=torch.float64)
    net = FullyConnected(12, [14], scaled(Erf()), n_outputs=3)
    w = net.layout.flatten({k: v[None] for k, v in net.init(0).items()})
    labels = torch.tensor([0, 1, 2])
    flow = NetworkFlow(net, x, labels, CrossEntropy(kind="cross_entropy"), alpha=torch.ones(1).double(), w0=w * 0.9)
    member, tiny = torch.tensor([0]), 1e-5
    before = flow.outputs(w, member)
    after = flow.outputs(w + tiny * moved(flow, w, fisher=fisher, step=0.3, damping=1e-9), member)
    p = before.reshape(3, 3).softmax(1)
    curvature = torch.block_diag(*(torch.diag_embed(p) - p[:, :, None] * p[:, None, :]))
    force = (p - torch.nn.functional.one_hot(labels, 3)).reshape(-1)
    torch.testing.assert_close(curvature @ (after - before)[0] / tiny, -0.3 * force, rtol=1e-3, atol=1e-4)


def test_units_that_are_dead_stay_and_stop_nobody():
    """A member whose units are all dead has no force, beside one that trains."""
    x = torch.rand(3, 4, dtype=torch.float64) + 0.1
    net = FullyConnected(4, [6], scaled(Relu()))
    w = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    w[0, :24] = -1
    flow = NetworkFlow(net, x, torch.tensor([1.0, -1, 1]).double(), Mse(), alpha=torch.ones(2).double(), w0=w)
    for fisher in (EXACT, BLOCK, UNIT):
        step = moved(flow, w, fisher=fisher, damping=1e-3)
        assert float(step[0].abs().max()) == 0
        assert bool(step[1].isfinite().all())
        assert float(step[1].abs().max()) > 0


def test_equations_of_several_members_with_several_threads():
    """Of a batch of 300 unknowns PyTorch 2.13 refuses its own pivots with two threads."""
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(2, 300, 300, generator=random, dtype=torch.float64) + 300 * torch.eye(300).double()
    b = torch.randn(2, 300, 1, generator=random, dtype=torch.float64)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = shifted_solve(matrix, torch.zeros(2, 1), b)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(matrix @ found, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("loss=soft_hinge", "loss=soft_hinge has no curvature on patterns that are fit"),
        ("dynamics.step=2", "dynamics.step=2: must be below 2"),
        ("labels=classes dynamics.fisher=kfac", "dynamics.fisher=kfac: for one output, and labels=classes"),
        ("labels=classes loss=cross_entropy dynamics.fisher=block_tridiagonal", "there are exact and block_diagonal"),
        ("regulariser=l2 centred=false", "G has no part for regulariser=l2"),
        ("dtype=float32", "dynamics.damping=1e-10: must be at least 1e-06 with float32"),
        ("dynamics.fisher=unit_wise", "dynamics.damping=1e-10: must be at least 0.001 with unit_wise"),
    ],
)
def test_refusals(tiny, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*JOB, *override.split()))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("architecture.depth=4 dynamics.fisher=block_tridiagonal", "T is singular for 5 layers, as for every 3s \\+ 2"),
        ("dataset.n_train=20 dynamics.fisher=kfac", "W1 has 8 inputs, fewer than the 20 outputs"),
        ("dataset.n_train=20 dynamics.fisher=block_diagonal", "W2 has 8 weights, fewer than the 20 outputs"),
        ("architecture=cnn architecture.blocks=1 width.h=4 dynamics.fisher=kfac", "for fully connected layers"),
        ("architecture.lora=2 dynamics.fisher=kfac", "for layers of one weight, not of W \\+ BA"),
    ],
)
def test_refusals_that_need_the_network(configure, tmp_path, override, sentence):
    job = [one for one in JOB if not ("cnn" in override and one.startswith("architecture"))]
    with pytest.raises(ConfigError, match=sentence):
        train_config(configure(*job, *override.split(), f"output_dir={tmp_path}"))


def runs(fisher, per_update, widths=(256, 1024), seeds=5, step=0.5):
    """Runs that multiply ‖F − y‖ by 1 − step·share(h) in each of three updates."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for h in widths:
            rho = 1 - step * per_update(h) * np.exp(random.normal(0, 0.003))
            history = {"t": np.arange(4.0), "train/loss": 0.5 * rho ** (2 * np.arange(4.0))}
            config = {"dynamics": {"fisher": fisher, "step": step}}
            row = {"h": h, "sqrt_h_alpha": 1000.0, "alpha": 10.0, "seed": seed, "outcome": "t_end", "train/loss": 0.1}
            rows.append({**row, "run": SimpleNamespace(history=history, config=config)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("share", "verdict"), [(0.99, AGREES), (0.8, DIFFERS), (1.2, DIFFERS)])
def test_planted_share(share, verdict):
    [row] = readings(claim.share_by_layers, runs(BLOCK, lambda h: share))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(share, abs=0.01)
    assert not readings(claim.share_by_layers, runs(KFAC, lambda h: share))


@pytest.mark.parametrize(("exponent", "verdict"), [(0.5, AGREES), (-0.5, DIFFERS)])
def test_planted_distance(exponent, verdict):
    [row] = readings(claim.factors_against_width, runs(KFAC, lambda h: 1 - 0.1 * (h / 512) ** -exponent))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.1)
    assert not readings(claim.factors_against_width, runs(EXACT, lambda h: 1.0))


def together(parts, turn=0.0, plain=0.36):
    """Runs of several parts of G and of gradient descent, whose moves F are at an angle to y of these sines."""
    tables = [runs(fisher, lambda h, share=share: share) for fisher, share in parts.items()]
    descent = runs("", lambda h: 0.5, widths=(1024,))
    for table, sine in [*((one, turn) for one in tables), (descent, plain)]:
        y, across = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])
        moved = np.sqrt(1 - sine**2) * y + sine * across
        for run in table["run"]:
            run.outputs = {"F_train": 0.3 * moved, "f0_train": np.ones(4), "y_train": y}
            run.config |= {"dataset": {"n_train": 4}, "loss": {"kind": "mse"}}
    for run in descent["run"]:
        run.config["dynamics"] = {"kind": "sgd", "batch": 4, "lr": 0.1}
    return pd.concat([*tables, descent], ignore_index=True)


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (claim.turned, together({EXACT: 1.0}), AGREES),
        (claim.turned, together({EXACT: 1.0}, plain=0.1), DIFFERS),
    ],
)
def test_planted_contrasts(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict


def test_sine_of_a_planted_angle():
    for run in together({EXACT: 1.0}, turn=0.3)["run"][:2]:
        assert claim.sine(run) == pytest.approx(0.3)
        run.config["centred"], run.columns = False, {"alpha": 0.0}
        assert claim.sine(run) == pytest.approx(0.3)


def test_a_control_needs_gradient_descent():
    of_another_loss = together({EXACT: 1.0})
    for run in of_another_loss["run"]:
        run.config |= {"loss": {"kind": "cross_entropy"}}
    for table in (runs(BLOCK, lambda h: 1.0), of_another_loss):
        [row] = readings(claim.turned, table)
        assert row.verdict == CANNOT_TELL

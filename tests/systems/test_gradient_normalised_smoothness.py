"""Steps under gradient-normalised smoothness as matrices, what each step keeps, laws, and refusals."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, finish, start
from feature_lazy.dynamics.losses import CrossEntropy, Mse, SoftHinge
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.times import GivenTimes
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.gradient_normalised_smoothness import claim
from feature_lazy.systems.gradient_normalised_smoothness.option import GradientNormalised
from feature_lazy.systems.gradient_normalised_smoothness.parts import FISHER, GGN, HESSIAN, NONE
from feature_lazy.systems.gradient_normalised_smoothness.update import conjugate_gradients
from tests.conftest import TINY
from tests.systems.reference import reference

ALL = (GGN, FISHER, NONE, HESSIAN)
JOB = (*TINY, "dynamics=gradient_normalised", "alpha.value=10")


def followed(flow, w0, steps, *, begin=None, **keys):
    """States (steps + 1, D) of each member, and how it ended."""
    training = GradientNormalised(kind="gradient_normalised", updates=steps, **keys).prepare(flow, w0)
    y0 = training.y0 if begin is None else torch.cat([begin, training.y0[:, -4:]], dim=1)
    state = start(training.system, training.method.stepper, y0, training.dt, 0)
    limits = Limits(1e-12, training.dt, t_end=training.t_end, rest=training.rest)
    ended = finish(
        training.system, training.method, state, limits, times=GivenTimes([float(k) for k in range(1, steps)])
    )
    return [torch.stack([*y, last]) for y, last in zip(ended.y, ended.state.y, strict=True)], ended


@pytest.mark.parametrize("curvature", ALL)
def test_steps_are_those_of_the_algorithm_with_matrices_that_were_written_out(curvature):
    known = reference("gradient_normalised_smoothness")
    net = FullyConnected(known["x"].shape[1], [known["h"]], scaled(Erf()))
    alpha = torch.full((1,), known["alpha"], dtype=torch.float64)
    flow = NetworkFlow(net, known["x"], known["y"], Mse(), alpha=alpha, w0=known["w0"][None])
    [found], _ = followed(
        flow, known["w0"][None], 4, begin=known["weights"][None], curvature=curvature, gamma=known["gamma"]
    )
    # The Hessian of the reference is one of differences, good to 1e-11.
    torch.testing.assert_close(found[1:], known[curvature], rtol=1e-8, atol=1e-9)


def classes(n=6, members=(0, 1)):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(n, 7, generator=random, dtype=torch.float64)
    net = FullyConnected(7, [9], scaled(Erf()), n_outputs=3)
    w = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in members])
    labels, loss = torch.arange(n) % 3, CrossEntropy(kind="cross_entropy", stop_margin=30.0)
    alpha = torch.tensor([0.5, 20.0]).double()[: len(members)]
    return NetworkFlow(net, x, labels, loss, alpha=alpha, w0=w), w


@pytest.mark.parametrize("curvature", ALL)
def test_every_step_lowers_the_loss_and_is_no_longer_than_gamma(curvature):
    """Of classes and members of different α, whose trials differ."""
    flow, w = classes()
    paths, ended = followed(flow, w, 12, curvature=curvature)
    assert ended.outcomes == [Outcome.T_END] * 2
    for member, path in enumerate(paths):
        weights, gamma, shift, trials, length = path[:, :-4], *path[:, -4:].T
        row = torch.full((len(path),), member)
        minus, outputs = flow.evaluate(weights, row)
        losses = flow.loss(outputs, flow.labels).mean(1) / flow.alpha[member] ** 2
        sizes = minus.norm(dim=1)
        assert bool((losses[1:] < losses[:-1]).all())
        assert bool((losses[:-1] - losses[1:] >= 0.999 * sizes[1:] ** 2 / (8 * shift[1:])).all())
        torch.testing.assert_close(shift[1:], sizes[:-1] / gamma[1:])
        torch.testing.assert_close(length[1:], (weights[1:] - weights[:-1]).norm(dim=1))
        assert bool((length[1:] <= gamma[1:] * (1 + 1e-9)).all())
        # Doubled by an accepted step, halved by every other trial.
        torch.testing.assert_close(gamma[2:], gamma[1:-1] * 2 ** (2 - trials[2:]))
    assert not torch.equal(paths[0][:, -2], paths[1][:, -2])


def test_the_gauss_newton_step_solves_the_equation_in_the_space_of_the_weights():
    flow, w = classes(members=(0,))
    [path], _ = followed(flow, w, 1, curvature=GGN)
    at = Curvature(flow.architecture, w, flow.x, flow.labels, flow.loss, flow.alpha, flow.f0)
    step, shift = path[1, :-4] - w[0], path[1, -3]
    torch.testing.assert_close(at.ggn(step[None])[0] + shift * step, -flow.gradient(w)[0], rtol=1e-9, atol=1e-12)


def test_conjugate_gradients_and_where_there_is_no_positive_curvature():
    random = torch.Generator().manual_seed(0)
    a = torch.randn(8, 8, generator=random, dtype=torch.float64)
    a, b = a @ a.mT, torch.randn(1, 8, generator=random, dtype=torch.float64)
    found = conjugate_gradients(lambda v: v @ a, b, 0.5)
    torch.testing.assert_close(found @ a + 0.5 * found, b, rtol=1e-8, atol=1e-8)
    assert bool(conjugate_gradients(lambda v: v @ a, b, -100.0).isnan().all())


def test_where_no_step_lowers_the_loss_it_ends_by_name():
    """The gradient at a minimum is rounding, and no decrease of 𝓛 can be seen."""
    x = torch.ones(2, 3, dtype=torch.float64)
    net = FullyConnected(3, [4], scaled(Erf()))
    w = net.layout.flatten({k: v[None] for k, v in net.init(0).items()})
    flow = NetworkFlow(
        net, x, torch.tensor([1.0, -1]).double(), SoftHinge(beta=1.0), alpha=torch.ones(1).double(), w0=w
    )
    _, ended = followed(flow, w + 0.1, 200, curvature=NONE)
    assert ended.outcomes[0] in (Outcome.DT_FLOOR, Outcome.STATIONARY)
    assert float(ended.state.t[0]) < 200


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("loss=hinge", "loss=hinge has a kink"),
        ("regulariser=l2 centred=false", "H has no part for regulariser=l2"),
        ("dynamics.gamma=0", "dynamics.gamma=0"),
        ("dynamics.curvature=kfac", "dynamics.curvature=kfac"),
    ],
)
def test_refusals(tiny, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*JOB, *override.split()))


def test_a_minibatch_is_no_key_of_it(tiny):
    with pytest.raises(ConfigError, match="batch"):
        tiny(*JOB, "dynamics.batch=10")


def test_a_kernel_that_does_not_fit_is_refused(tiny):
    with pytest.raises(ConfigError, match=r"dynamics\.curvature=ggn: Θ of 20 outputs"):
        train_config(tiny(*JOB, "memory_limit=5kB"))


def test_recorded_while_it_is_trained(tiny):
    config = tiny(*JOB, "dynamics.updates=3")
    [run] = [Store(config.output_dir).load(one) for one in train_config(config)]
    assert run.history["gns/gamma"][0] == 1
    assert run.history["gns/step"][0] == 0
    assert 0 < run.history["gns/step"][-1] <= run.history["gns/gamma"][-1]


def test_cross_entropy_ends_beyond_the_margin_that_is_asked_for(tiny):
    config = tiny(*JOB, "labels=classes", "loss=cross_entropy", "loss.stop_margin=4")
    [run] = [Store(config.output_dir).load(one) for one in train_config(config)]
    assert run.summary["outcome"] == "converged"
    assert run.summary["train/margin_min"] > 4


def runs(curvature, rate, *, gamma=1.0, trials=2.0, ratio=0.9, seeds=5, steps=100):
    """Runs whose ln 𝓛 falls by ``rate(k)`` in step k."""
    random = np.random.default_rng(0)
    rows, t = [], np.arange(steps + 1.0)
    for seed in range(seeds):
        luck = np.exp(random.normal(0, 0.02))
        falls = luck * np.array([rate(k) for k in t[:-1]])
        history = {
            "t": t,
            claim.LOSS: np.exp(-np.concatenate([[0], np.cumsum(falls)])),
            claim.GAMMA: np.full(len(t), gamma),
            claim.STEP: np.full(len(t), ratio * gamma * luck),
            claim.TRIALS: np.full(len(t), trials * luck),
        }
        run = SimpleNamespace(history=history, config={"dynamics": {"curvature": curvature}})
        row = {"h": 8, "sqrt_h_alpha": 10.0, "alpha": 1.0, "seed": seed, "outcome": "t_end", claim.LOSS: 1.0}
        rows.append({**row, "run": run, claim.GAMMA: 1.0, claim.STEP: 1.0, claim.TRIALS: 1.0})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("law", "table", "verdict"),
    [
        (claim.monotone, runs(GGN, lambda k: 0.1), AGREES),
        (claim.monotone, runs(GGN, lambda k: 0.1 if k != 50 else -0.1), DIFFERS),
        (claim.within, runs(NONE, lambda k: 0.1, ratio=0.9), AGREES),
        (claim.within, runs(NONE, lambda k: 0.1, ratio=1.2), DIFFERS),
        (claim.within, pd.concat([runs(NONE, lambda k: 0.1), runs(HESSIAN, lambda k: 0.1, ratio=1.2)]), AGREES),
        (claim.trials, runs(FISHER, lambda k: 0.1, trials=1.95), AGREES),
        (claim.trials, runs(FISHER, lambda k: 0.1, trials=3), DIFFERS),
        (claim.straight, runs(FISHER, lambda k: 0.1), AGREES),
        (claim.straight, runs(FISHER, lambda k: 1 / (k + 1)), DIFFERS),
    ],
)
def test_planted_course(law, table, verdict):
    [row] = readings(law, table)
    assert row.verdict == verdict


def test_trials_and_straightness_say_nothing_of_gauss_newton():
    assert not readings(claim.trials, runs(GGN, lambda k: 0.1))


@pytest.mark.parametrize(("faster", "verdict"), [(2.0, AGREES), (0.5, DIFFERS)])
@pytest.mark.parametrize(
    ("law", "one", "other"), [(claim.fisher_and_ggn, FISHER, GGN), (claim.none_and_fisher, NONE, FISHER)]
)
def test_planted_order(law, one, other, faster, verdict):
    table = pd.concat(
        [runs(one, lambda k: 0.2, steps=200), runs(other, lambda k: 0.2 * faster, steps=200)], ignore_index=True
    )
    [row] = readings(law, table)
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(np.log(faster), abs=0.05)

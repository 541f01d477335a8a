"""Splines of truncated powers: f and its kernel, knots that are learnt, the laws, what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.base import Layered
from feature_lazy.runs.batch import build
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.trukan import claim
from feature_lazy.systems.trukan.data import ExpSine
from feature_lazy.systems.trukan.network import FixedKnots, LearntKnots, Splines, moved
from tests.arrays import normal
from tests.conftest import composed
from tests.systems.reference import planted, reference

JOB = ("architecture=trukan", "dataset=teacher_student", "dataset.dim=3", "dataset.n_train=20", "dataset.n_test=20")


def members(known, *names):
    return {name: known[name][None] for name in names}


def test_outputs_and_kernels_are_those_that_were_written_out():
    known = reference("trukan")
    fixed = FixedKnots(Splines(3, 4), [2, 3, 1], 3, range=2.0)
    f = fixed.apply(members(known, "W0", "W1"), known["x"])[0]
    torch.testing.assert_close(f, known["f_fixed"], rtol=1e-12, atol=1e-14)
    for individual in (False, True):
        name = "individual" if individual else "shared"
        net = LearntKnots(fixed, individual)
        own = {"W0": "W0", "T0": f"T0_{name}", "W1": "W1", "T1": f"T1_{name}"}
        params = {key: known[value][None] for key, value in own.items()}
        torch.testing.assert_close(net.apply(params, known["x"])[0], known[f"f_{name}"], rtol=1e-12, atol=1e-14)
        theta = tangent_kernel(net, params, known["x"])[0]
        # Its gradients are by finite differences of order four there.
        torch.testing.assert_close(theta, known[f"theta_{name}"], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("individual", [False, True])
def test_knots_that_are_learnt_begin_as_those_that_stay(individual):
    fixed = FixedKnots(Splines(2, 5), [3, 4, 2], 4)
    net = LearntKnots(fixed, individual)
    params = {name: torch.stack([net.init(seed)[name] for seed in (0, 1)]) for name in net.layout.shapes}
    x = normal(5, 3)
    torch.testing.assert_close(net.apply(params, x), fixed.apply(params, x), rtol=1e-12, atol=1e-13)
    assert isinstance(fixed, Layered)
    assert not isinstance(net, Layered)
    assert net.layout.last == fixed.layout.last == ["W1"]  # what trains the output alone, or scales it, leaves knots


def test_knots_are_ordered_and_inside_whatever_is_learnt():
    knots = moved(10 * normal(50, 7))
    assert ((knots.diff() >= 0).all(), (knots > -1).all(), (knots < 1).all()) == (True, True, True)
    torch.testing.assert_close(moved(torch.zeros(5).double()), Splines(3, 4).equal(torch.zeros(1).double()))


def test_functions_have_mean_square_one_and_inputs_stay_inside():
    x = torch.linspace(-1, 1, 20001).double()
    assert Splines(3, 6).basis(x).square().mean(0).tolist() == pytest.approx([1.0] * 10, rel=2e-3)
    net = FixedKnots(Splines(3, 6), [3, 1], 1, range=2.0)
    assert net.inside(torch.tensor([[-7.0, 1.0, 7.0]])).tolist() == [[-1.0, 0.5, 1.0]]


def test_targets_have_mean_0_and_variance_1_and_classes_are_balanced():
    law = ExpSine()
    classes, f = law.label(law.patterns(np.random.default_rng(0), 400_000), seed=0)
    # Standard errors are 0.0016, 0.004 and 0.0008.
    assert (f.mean(), f.var(), classes.mean()) == (
        pytest.approx(0, abs=0.006),
        pytest.approx(1, abs=0.015),
        pytest.approx(0.5, abs=0.003),
    )
    wanted = (np.exp([2.0, 0.0625]) - 1.8520) / 1.4005  # of 4 000 000 draws
    _, found = law.label(np.sqrt(3) * np.array([[0.5, 1.0], [1.0, 0.25]]), seed=0)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_a_single_layer_with_fixed_knots_is_linear():
    net, x = FixedKnots(Splines(3, 6), [2, 1], 7), normal(4, 2).clamp(-1, 1)
    one, other = ({name: w[None] for name, w in net.init(seed).items()} for seed in (0, 1))
    psi = net.splines.basis(x).flatten(1)
    expected = psi @ psi.mT / (2 * 10)
    for params in (one, other):
        torch.testing.assert_close(tangent_kernel(net, params, x)[0], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("architecture.sharing=individual", "knots that stay are the same for all, so that this is the network of"),
        ("dtype=float32 architecture.knots=24", "architecture.knots=24: .* in float32; use dtype=float64, or fewer"),
        ("parametrisation=mup architecture.learnt=true", "parametrisation=mup: learnt knots, .* as ntk alone; use ntk"),
        ("parametrisation=mup architecture.depth=0", "parametrisation=mup: .* a single layer, are scaled as ntk alone"),
        ("dataset=exp_sine", "dataset.dim=3: the function has two variables; it must be 2"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, *override.split()))


def test_patterns_beyond_the_range_are_named(caplog):
    build(composed(*JOB, "architecture.range=6"))
    assert "outside" not in caplog.text
    build(composed(*JOB, "architecture.range=1"))
    assert "% of the numbers in training patterns are outside of architecture.range=1 and are clamped" in caplog.text


def test_the_option_builds_what_it_says():
    made = build(composed(*JOB, "architecture.depth=2", "width.h=5")).architecture
    assert {name: tuple(shape) for name, shape in made.layout.shapes.items()} == {
        "W0": (5, 30),
        "W1": (5, 50),
        "W2": (1, 50),
    }
    learnt = ("architecture.learnt=true", "architecture.sharing=individual", "architecture.depth=0")
    made = build(composed(*JOB, *learnt)).architecture
    assert tuple(made.layout.shapes["T0"]) == (1, 3, 7)


def table(*networks):
    """Runs of several networks: what their configurations say, a column, and its value."""
    parts = []
    for network, column, value in networks:
        runs = planted((column, lambda h, alpha, value=value: value), widths=(20,))
        run = SimpleNamespace(config={"architecture": network})
        parts.append(
            runs.assign(**{claim.CHANGE: 0.0, claim.EXCESS: 0.0} | {column: runs[column]}, run=[run] * len(runs))
        )
    return pd.concat(parts, ignore_index=True)


def splines(depth, learnt=False):
    return {"kind": "trukan", "depth": depth, "learnt": learnt}


def said(law, runs):
    [row] = readings(law, runs)
    return row.verdict


@pytest.mark.parametrize(("change", "verdict"), [(1e-15, AGREES), (0.01, DIFFERS)])
def test_planted_rest(change, verdict):
    assert said(claim.rests, table((splines(0), claim.CHANGE, change))) == verdict
    assert said(claim.rests, table((splines(1), claim.CHANGE, change))) == CANNOT_TELL


@pytest.mark.parametrize(("exponent", "verdict"), [(-1, AGREES), (-0.5, DIFFERS)])
def test_planted_motion_of_knots(exponent, verdict):
    runs = planted((claim.CHANGE, lambda h, alpha: alpha**exponent), widths=(20,), alphas=(30.0, 300.0))
    for depth, wanted in ((0, verdict), (1, CANNOT_TELL)):
        run = SimpleNamespace(config={"architecture": splines(depth, learnt=True)})
        assert said(claim.moves, runs.assign(run=[run] * len(runs))) == wanted


@pytest.mark.parametrize(("mlp", "verdict"), [(0.04, AGREES), (0.0025, DIFFERS)])
def test_planted_errors(mlp, verdict):
    """Of a mean square 0.01 of splines; single layers of these, and learnt knots, are another matter."""
    own = [(splines(1), claim.EXCESS, 0.01), (splines(0), claim.EXCESS, 9.0), (splines(1, True), claim.EXCESS, 9.0)]
    runs = table(*own, ({"kind": "fully_connected", "depth": 2}, claim.EXCESS, mlp))
    assert said(claim.fewer_errors, runs) == verdict
    [row] = readings(claim.fewer_errors, runs)
    assert row.estimate.value == pytest.approx(10 * np.sqrt(mlp), rel=0.05)
    assert said(claim.fewer_errors, table(*own)) == CANNOT_TELL


@pytest.mark.parametrize(("order", "verdict"), [(4, AGREES), (2, DIFFERS)])
def test_planted_fits(order, verdict, monkeypatch):
    """Of errors that fall as another power of the pieces, and of B-splines that fit something else."""
    wave = np.linspace(-1, 1, claim.POINTS)
    monkeypatch.setattr(claim, "truncated", lambda x, y, knots: y + wave * (knots + 1.0) ** -order)
    monkeypatch.setattr(claim, "b_splines", lambda x, y, knots: y + wave * (knots + 1.0) ** -4)
    runs = table((splines(0), claim.CHANGE, 0.0))
    assert [said(law, runs) for law in (claim.same_span, claim.order)] == [verdict, verdict]
    other = table(({}, claim.CHANGE, 0.0))
    assert said(claim.order, other) == CANNOT_TELL


def test_truncated_powers_span_what_b_splines_do():
    x, y = claim.curve()
    for knots in claim.KNOTS:
        np.testing.assert_allclose(claim.truncated(x, y, knots), claim.b_splines(x, y, knots), atol=1e-9)
    basis = Splines(claim.CUBIC, 6).basis(torch.from_numpy(x)).numpy()
    assert np.linalg.matrix_rank(basis) == 10

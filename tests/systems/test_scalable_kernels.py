"""Layers of features that stay, bundled or not: f, kernels, limits, the optimum without training, and the laws."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.layout import only
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.table import H, X, with_runs
from feature_lazy.study.verdict import AGREES, DIFFERS, judged
from feature_lazy.systems.scalable_kernels import claim
from feature_lazy.systems.scalable_kernels.network import Snnk
from tests.conftest import composed
from tests.systems.reference import reference

JOB = ("architecture=snnk", "loss=mse", "alpha=raw", "dataset.n_train=40", "dataset.n_test=40", "width.h=8")
FUNCTIONS = pytest.mark.parametrize("function", ["relu", "urf_sin"])


def rows(values):
    return torch.tensor(values, dtype=torch.float64)[None]


@FUNCTIONS
def test_outputs_and_kernel_are_those_that_were_written_out(function):
    known = reference("scalable_kernels")
    case = known["networks"][function]
    net = Snnk(3, 2, 4, function=function)
    params = {"G0": known["g"][None], "W0": rows(case["w"]), "W1": rows(case["v"])}
    torch.testing.assert_close(net.apply(params, known["x"]), rows(case["f"]), rtol=1e-12, atol=1e-14)
    jacobian = rows(case["jacobian"])[0]
    theta = tangent_kernel(net, params, known["x"])[0]
    torch.testing.assert_close(theta, jacobian @ jacobian.mT, rtol=1e-12, atol=1e-13)
    bundled = Snnk(3, 4, 4, function=function, bundled=True)
    params = {"G0": known["g"][None], "W1": rows(case["bundled"])}
    torch.testing.assert_close(bundled.apply(params, known["x"]), rows(case["bundled_f"]), rtol=1e-12, atol=1e-14)


@FUNCTIONS
@pytest.mark.parametrize("depth", [1, 2])
def test_bundled_kernels_go_to_their_limit(function, depth):
    """Of one layer by quadrature; of two as the mean over drawn features, to four standard errors of it and 10/m."""
    known = reference("scalable_kernels")
    x = known["x"] * (3 / known["x"].square().sum(1, keepdim=True)).sqrt() if depth == 2 else known["x"]
    limit = Snnk(3, 9, 9, depth, function, bundled=True).limit(x)
    assert torch.equal(limit.ntk, limit.nngp)
    if depth == 1:
        torch.testing.assert_close(limit.ntk, rows(known["limits"][function])[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(Snnk(3, 9, 9, 1, function, bundled=True).limit(x, x[:2]).ntk, limit.ntk[:, :2])
        return
    net = Snnk(3, 500, 500, depth, function, bundled=True)
    found = torch.cat([tangent_kernel(net, {k: v[None] for k, v in net.init(s).items()}, x) for s in range(16)])
    error = found.std(0) / 4
    assert ((found.mean(0) - limit.ntk).abs() < 4 * error + 0.02).all()


def test_waves_of_inputs_and_of_weights_make_a_sine():
    """To four standard errors: E e^{ρgx − ρ²x²/2}·e^{ρgw − ρ²w²/2} has sin(xw) as its imaginary part; here over e."""
    [[x, w, wanted]] = reference("scalable_kernels")["sines"].tolist()
    m = 100_000
    net = Snnk(1, m, m, function="urf_sin", bundled=True)
    params = {name: weight[None] for name, weight in net.init(0).items()}
    both = net.taps(params, torch.tensor([[x], [w]]).double())[1][-1].inputs[0]
    (real, imaginary), (real_w, imaginary_w) = both.unflatten(1, (2, m))
    each = real * imaginary_w + imaginary * real_w
    assert float((each.mean() - wanted / np.e).abs() / each.std()) < 4 / np.sqrt(m)


def test_orthogonal_rows_have_the_lengths_of_normal_ones():
    g = Snnk(20, 50, 50, bundled=True, orthogonal=True).init(0)["G0"]
    for start in (0, 20, 40):
        block = g[start : start + 20]
        products = block @ block.mT
        torch.testing.assert_close(products, products.diag().diag(), rtol=0, atol=1e-12)
    squares = g.square().sum(1)
    assert float(squares.mean()) == pytest.approx(20, rel=0.15)  # χ² of 20 numbers, 50 of them: 3 standard errors
    assert float(squares.std()) == pytest.approx(np.sqrt(40), rel=0.35)


def test_features_stay_and_are_of_the_seed():
    net = build(composed(*JOB)).architecture
    assert net.layout.fixed == {"G0"}
    one, other = net.init(0), net.init(1)
    assert not torch.equal(one["G0"], other["G0"])
    whole = only(net, list(net.layout.shapes))
    params = {k: v[None] for k, v in one.items()}
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(0)).double()
    parts = [tangent_kernel(one, params, x) for one in (net, whole)]
    assert float((parts[1] - parts[0])[0].diagonal().min()) > 0  # G would have a part in it


def test_features_of_a_seed_of_their_own_are_those_of_every_run():
    net = build(composed(*JOB, "architecture.seed=7", "architecture.orthogonal=true")).architecture
    one, other = net.init(0), net.init(1)
    assert torch.equal(one["G0"], other["G0"])
    assert not torch.equal(one["W0"], other["W0"])
    assert torch.equal(one["G0"], Snnk(64, 8, 8, orthogonal=True).init(7)["G0"])


@pytest.mark.parametrize("function", ["relu", "urf_sin"])
def test_layers_can_begin_as_what_they_stand_for(function):
    """To four standard errors of the mean over features: the arc-cosine kernel of patterns and rows, or a sine."""
    net, m = Snnk(5, 3, 40_000, function=function, start="ffl"), 40_000
    params = {name: weight[None] for name, weight in net.init(0).items()}
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).double()
    _, (_, layer, _) = net.taps(params, x)
    rows = torch.from_numpy(stream(0, "initialisation", "W0", "rows").standard_normal((3, 5)))
    if function == "relu":
        lengths = x.norm(dim=1)[:, None] * rows.norm(dim=1)
        angle = (x @ rows.mT / lengths).clamp(-1, 1).arccos()
        wanted = lengths / 5 / np.pi * (angle.sin() + (np.pi - angle) * angle.cos())
    else:
        wanted = torch.sin(x @ rows.mT / 5) / np.e
    each = layer.inputs[0][:, None] * params["W0"][0] * np.sqrt(m)  # a mean over m features, of one part or two
    each = each.unflatten(2, (-1, m)).sum(2)
    z = layer.preactivations[0]
    torch.testing.assert_close(z, each.mean(2), rtol=1e-10, atol=1e-12)
    assert ((z - wanted).abs() < 4 * each.std(2) / np.sqrt(m)).all()


def test_a_bundled_network_ends_where_least_squares_is(tmp_path):
    """At two α, by the law's own features and, for one, by those that are made here."""
    job = (*JOB, "architecture.bundle=full", "dynamics.stepper=tangent", "dynamics.t_end=1e5", "observe.weights=ends")
    job = (*job, "observe.per_decade=1", "observe.kernel.probe=10", "observe.kernel.final=false")
    for alpha in (0.1, 10):
        run(build(composed(*job, f"alpha.value={alpha}", f"output_dir={tmp_path}")))
    table = with_runs(load_sweep(tmp_path))
    assert claim.rests(table).value < 1e-10
    assert claim.optimum(table).value < 1e-6
    data = build(composed(*job)).dataset
    one = table["run"].iloc[0]
    g = torch.tensor(one.weights(0)["G0"])
    train, test = ((x @ g.mT).relu() for x in (data.x_train, data.x_test))
    wanted = test @ torch.linalg.pinv(train) @ data.y_train
    np.testing.assert_allclose(one.outputs["F_test"].ravel(), wanted.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["architecture.bundle=full", "architecture.features=4"], "architecture.features=4: with architecture.bundle"),
        (
            ["architecture.bundle=full", "architecture.start=ffl"],
            "architecture.start=ffl: with architecture.bundle=full",
        ),
        (["parametrisation=mup"], "architecture=snnk is scaled as ntk alone"),
        (["observe/also=[limit]"], "its limit at fixed m is not known here; use architecture.bundle=full"),
    ],
)
def test_refusals(overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, *overrides))


def planted(slope=-0.5, change=0.0, error=None, *, alphas=(1.0,), widths=(50, 200, 800), bundle="full", features=0):
    """Runs whose kernel is as far from its limit as h^slope, with an error that is a function of h."""
    random, found = np.random.default_rng(0), []
    for seed in range(5):
        for alpha in alphas:
            for h in widths:
                luck = np.exp(random.normal(0, 0.01))
                own = {
                    claim.DEVIATION: luck * h**slope,
                    claim.CHANGE: change,
                    claim.ERROR: luck * (error or (lambda h: 0.1))(h),
                }
                config = {
                    "architecture": {"kind": "snnk", "bundle": bundle, "features": features},
                    "dataset": {"kind": "digits"},
                    "loss": {"kind": "mse"},
                }
                history = {name: np.array([value, value]) for name, value in own.items()}
                one = SimpleNamespace(config=config, history=history, weight_numbers=[0], weights=weights_of(features))
                place = {H: h, X: alpha * h**0.5, "alpha": alpha, "seed": seed, "outcome": "t_end"}
                found.append({**place, **own, "run": one})
    return pd.DataFrame(found)


def weights_of(features):
    """Those of a layer of so many features, or of an ordinary one of 64 inputs where there are none."""
    return lambda index: {"W0": np.zeros((100, features or 64))}


def said(law, table):
    return judged(law.expected, law(table)).verdict


@pytest.mark.parametrize(("good", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_claims(good, verdict):
    bundled = planted(*((-0.5, 0.0, lambda h: h**-0.6) if good else (-0.2, 0.0, lambda h: 0.01 * h**0.5)))
    assert said(claim.deviation, bundled) == verdict
    assert said(claim.falls, bundled) == verdict
    assert claim.falls(bundled).value == pytest.approx(-0.6 if good else 0.5, abs=0.03)
    assert said(claim.few, bundled) == verdict
    # The largest over α counts: one that is 0 hides none.
    moved = planted(alphas=(0.1, 10.0))
    moved.loc[moved["alpha"] == 10, claim.CHANGE] = 0.0 if good else 1e-6
    assert said(claim.rests, moved) == verdict
    small = planted(error=lambda h: 0.05 if good else 0.2, bundle="none", features=13, widths=(100,))
    pairs = small.merge(planted(error=lambda h: 0.05, widths=(100,)), on=[H, X, "seed"], suffixes=("", "_other"))
    assert said(claim.competes, pairs) == verdict


def test_laws_are_of_their_own_runs():
    assert claim.deviation(planted(bundle="none")) is None
    assert claim.rests(planted()) is None  # one α
    large = planted(bundle="none", features=32, widths=(100,))
    assert claim.competes(large.merge(large, on=[H, X, "seed"], suffixes=("", "_other"))) is None
    assert claim.few(planted(widths=(50, 800))) is None

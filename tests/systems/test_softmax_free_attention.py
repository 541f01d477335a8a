"""Attention by landmarks: its inverse, the network that was written out, what is counted, the laws, what is refused."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import jacobian_kernel, limit_kernels, tangent_kernel
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.attention import Attention
from feature_lazy.networks.scores import LEFT, SoftmaxFree, gaussian, inverse, newton, steps_needed
from feature_lazy.networks.sequences import Tokens
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.study.limit_laws import KERNEL
from feature_lazy.study.verdict import AGREES, DIFFERS, judged
from feature_lazy.systems.softmax_free_attention import claim
from tests.arrays import normal
from tests.conftest import QUICK, composed
from tests.systems.reference import planted, reference

ERF = scaled(Erf())
JOB = ("architecture=attention", "architecture.map=soft", "dataset.n_train=8", "dataset.n_test=8", "width.h=8")


def network(n=20, landmarks=4, **keys):
    return Attention(Tokens(8, 4), n, ERF, map=SoftmaxFree(landmarks, 24, 0.01), **keys)


def begun(net, *seeds):
    return {name: torch.stack([net.init(seed)[name] for seed in seeds]) for name in net.layout.shapes}


@pytest.fixture(scope="module")
def middles():
    """S_mm + ridge of keys at random, (3, 4, 4)."""
    return SoftmaxFree(4, 24, 0.01).parts(normal(3, 8, 2))[1]


def test_outputs_and_limits_were_written_out():
    known = reference("softmax_free_attention")
    map_ = SoftmaxFree(known["landmarks"], steps_needed(known["landmarks"], known["ridge"]) + 2, known["ridge"])
    net = Attention(Tokens(6, 2), 5, ERF, map=map_)
    params = {name: known[name][None] for name in net.layout.shapes}
    assert net.apply(params, known["x"])[0].tolist() == pytest.approx(known["f"].tolist(), rel=1e-11)
    found = limit_kernels(replace(net, depth=2), known["x"])
    for kernel, values in known["limit"].items():
        wanted = torch.tensor(values, dtype=torch.float64)
        torch.testing.assert_close(getattr(found, kernel), wanted, rtol=1e-11, atol=1e-12)


def test_kernel_of_layers_is_that_of_gradients():
    net = network(depth=2, n_outputs=2)
    params, x = begun(net, 0, 1), normal(4, 32)
    exact, jacobian = (kernel(net, params, x) for kernel in (tangent_kernel, jacobian_kernel))
    torch.testing.assert_close(exact, jacobian, rtol=0, atol=1e-13 * float(jacobian.abs().max()))


def test_derivatives_of_the_inverse_are_those_through_its_steps(middles):
    """First and second ones: beyond convergence the steps are the inverse."""
    a, g, e = middles.clone().requires_grad_(), normal(4, 4), normal(4, 4)
    *_, through = newton(a, 40)
    found = []
    for v in (inverse(a, 40), through):
        [first] = torch.autograd.grad((v * g).sum(), a, create_graph=True)
        [second] = torch.autograd.grad((first * e).sum(), a)
        found.append((v.detach(), first.detach(), second))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11 * float(other.abs().max()))
    grads = torch.func.vmap(torch.func.grad(lambda one: (inverse(one, 40) * g).sum()))(middles)
    torch.testing.assert_close(grads, found[0][1], rtol=0, atol=1e-13 * float(grads.abs().max()))


@pytest.mark.parametrize(("m", "ridge"), [(1, 0.01), (4, 0.01), (4, 0.1), (8, 0.01), (28, 1e-3)])
def test_no_landmarks_need_more_steps(m, ridge):
    """The worst are those that are all equal: of 1 − AV no more is left then; with two steps less there is more."""
    worst = torch.ones(m, m).double() + ridge * torch.eye(m).double()
    left = [float(torch.linalg.matrix_norm(torch.eye(m) - worst @ v, 2)) for v in newton(worst, steps_needed(m, ridge))]
    assert left[-1] < LEFT
    assert m == 1 or left[-3] > LEFT


def test_from_keys_as_from_their_products():
    """One makes Ŝ and costs n², the other does not; with every token a landmark both are the Gaussian map."""
    keys, map_ = normal(2, 3, 8, 5) / 2, SoftmaxFree(4, 24, 0.01)
    gram = keys @ keys.mT
    torch.testing.assert_close(map_(gram) @ keys, map_.applied(keys, keys), rtol=1e-11, atol=1e-12)
    whole = gaussian(gram)
    for ridge in (1e-2, 1e-3):
        found = SoftmaxFree(8, steps_needed(8, ridge) + 2, ridge)(gram)
        assert ((found - whole).norm(dim=(2, 3)) <= ridge * whole.norm(dim=(2, 3))).all()


def test_normalised_by_what_landmarks_are_near_to():
    """By dense products, from keys and from their Gram matrix."""
    keys = normal(3, 8, 5) / 2
    map_ = SoftmaxFree(4, 24, 0.01, normalised=True)
    marks = keys.unflatten(1, (4, 2)).mean(2)
    near = torch.exp(-torch.cdist(keys, marks).square() / 2), torch.exp(-torch.cdist(marks, marks).square() / 2)
    root = torch.diag_embed(near[1].sum(2) ** -0.5)
    wanted = near[0] @ root @ (near[1] + 0.01 * torch.eye(4).double()).inverse() @ root @ near[0].mT
    torch.testing.assert_close(map_(keys @ keys.mT), wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(map_.applied(keys, keys), wanted @ keys, rtol=1e-10, atol=1e-12)
    assert build(composed(*JOB, "architecture.normalised=true")).architecture.map.normalised


def test_products_are_counted_as_they_are_done():
    net = network(n_outputs=3)
    params, x = begun(net, 0), normal(1, 32)
    with FlopCounterMode(display=False) as counter:
        net.apply(params, x)
    assert net.forward_flops == counter.get_total_flops()
    few, some, many = (net.map.flops(n, net.width) for n in claim.TOKENS)
    assert many - some == 2 * (some - few)


def test_the_mean_over_seeds_is_the_limit():
    net, x, seeds = network(128), normal(3, 32), 20
    limit, found = limit_kernels(net, x).ntk, tangent_kernel(net, begun(net, *range(seeds)), x)
    error = found.std(0) / math.sqrt(seeds)
    # What is of order 1/n in the mean is some percent of the fluctuations' n^{−½}, and within their error.
    assert ((found.mean(0) - limit) / error).abs().max() < 4.5
    assert error.max() < 0.1 * limit.max()


def test_keys_of_other_maps_stay_out_of_their_ids():
    ids = [
        cells(composed(*JOB, *more))[0].run_id
        for more in ((), ("architecture.landmarks=4",), ("architecture.ridge=0.02",))
    ]
    assert len(set(ids)) == 3
    assert set(cells(composed("architecture=attention"))[0].config["architecture"]) == {
        *("kind", "tokens", "map", "scale", "depth", "layernorm")
    }
    net = build(composed(*JOB, "architecture.landmarks=4", "architecture.newton=20")).architecture
    assert net.map == SoftmaxFree(4, 20, 0.01)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("architecture.landmarks=3", r"architecture\.landmarks=3: each is the mean of as many of 8 tokens"),
        ("architecture.newton=20", r"the condition of 8 landmarks may be 801, for which 22 steps are needed"),
        ("architecture.ridge=0", r"architecture\.ridge=0"),
        (
            "architecture.map=gaussian architecture.landmarks=4",
            r"map=gaussian has no landmarks; use architecture\.map=soft",
        ),
    ],
)
def test_refusals(override, sentence):
    validate(composed(*JOB))
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*JOB, *override.split()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of both maps and of two seeds, followed for a moment."""
    folder = tmp_path_factory.mktemp("soft")
    rows = []
    for map_ in ("soft", "gaussian"):
        more = (f"architecture.map={map_}", "dynamics.t_end=0.1", "observe.weights=ends", "observe/also=[outputs]")
        seeds = ("seed=ensemble", "seed.members=2", "observe.kernel.probe=4")
        ids = train_config(composed(*JOB, *QUICK, *more, *seeds, f"output_dir={folder}"))
        rows.append(pd.DataFrame({"run": [load_run(folder / "runs" / one) for one in ids], "seed": [0, 1]}))
    return rows


@pytest.mark.slow
def test_laws_on_networks_that_were_trained(runs):
    soft, whole = runs
    assert claim.quadratic(soft).value == pytest.approx(2, abs=1e-6)
    assert claim.falling(soft).value < 1
    assert 0 < claim.remaining(soft).value < 1
    assert claim.linear(soft).value == 1
    # 2n²h for 3nmh + m²h and two products of landmarks a step.
    n, m, h, steps = 784, 49, 8, claim.Soft.of(soft["run"].iloc[0]).map.newton
    assert claim.cheaper(soft).value == pytest.approx(
        (3 * n * m * h + 2 * m**2 * h + 2 * steps * m**3) / (2 * n**2 * h)
    )
    assert claim.alike(soft.merge(whole, on="seed", suffixes=("", "_other"))).value < 0.05
    for one in (claim.quadratic, claim.linear, claim.against_limit):
        assert one(whole) is None


def faked(monkeypatch, good):
    """Three runs whose landmarks do what is claimed, or do not."""
    errors = np.array([0.8, 0.4, 0.005] if good else [0.4, 0.8, 0.03])
    one = SimpleNamespace(
        errors=lambda: errors,
        map=SimpleNamespace(ridge=0.01),
        order=lambda: 2.0 if good else 1.5,
        multiplications=lambda n, landmarks=True: n + 100 if landmarks and good else n**2,
    )
    monkeypatch.setattr(claim.Soft, "of", lambda run: one)


@pytest.mark.parametrize(("good", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_claims(good, verdict, monkeypatch):
    faked(monkeypatch, good)
    gap = 0.01 if good else 0.1

    def run(f, map_):
        series = (np.array([0.0, 1.0]), np.array([[0.0, 0.0], [f, f]]))
        return SimpleNamespace(over_time=lambda name: series, config={"architecture": {"map": map_}})

    table = pd.DataFrame({"run": [run(1 + gap, "soft") for _ in range(3)]})
    pairs = table.assign(run_other=[run(1.0, "gaussian") for _ in range(3)])
    for one, rows in (
        *((one, table) for one in (claim.quadratic, claim.falling, claim.remaining, claim.linear)),
        (claim.alike, pairs),
    ):
        assert judged(one.expected, one(rows)).verdict == verdict, one.name
    if good:
        assert judged(claim.cheaper.expected, claim.cheaper(table)).verdict == AGREES
    begun_ = planted((KERNEL, lambda h, alpha: h ** (-0.5 if good else -1.0)))
    for one in begun_["run"]:
        one.config = {"architecture": {"map": "soft"}}
    assert judged(claim.against_limit.expected, claim.against_limit(begun_)).verdict == verdict

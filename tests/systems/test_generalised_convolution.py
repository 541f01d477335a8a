"""Convolutions by distances and kernels: f and its kernel, what l2 has within it, smaller windows, and the laws."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import jacobian_kernel, tangent_kernel
from feature_lazy.launch.commands import main
from feature_lazy.networks.activations import Scaled, Tanh, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.generalised import Generalised
from feature_lazy.runs.batch import build
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.generalised_convolution.claim import ERROR, squares
from tests.conftest import composed
from tests.systems.reference import reference

OPERATORS = ("l1", "l2", "gaussian")
JOB = ("architecture=cnn", "architecture.blocks=1", "dataset.n_train=10", "dataset.n_test=10", "width.h=3")
SMALL = (*JOB, "architecture.window=3", "observe.kernel.probe=6")


@pytest.mark.parametrize("operator", OPERATORS)
def test_outputs_and_kernel_are_those_that_were_written_out(operator):
    """Of one member, and of the second of two."""
    known = reference("generalised_convolution")
    one = {name: torch.tensor(value, dtype=torch.float64) for name, value in known["operators"][operator].items()}
    net = Generalised(Convolutional((2, 4, 4), [3], Scaled(torch.tanh, 1.0), window=3), operator)
    both = torch.stack([torch.zeros_like(one["weights"]), one["weights"]])
    for w in (both[1:], both):
        params = net.layout.unflatten(w)
        torch.testing.assert_close(net.apply(params, known["x"])[-1], one["f"], rtol=1e-11, atol=1e-13)
        theta = tangent_kernel(net, params, known["x"])[-1]
        torch.testing.assert_close(theta, one["theta"], rtol=1e-10, atol=1e-12)


def test_squares_have_the_product_within_them():
    """Σ v (p − w)² with v and with −v and −w leaves 4vwp: what a filter of 4vw has by a product."""
    phi = Scaled(lambda z: z, 1.0)
    plain = Convolutional((1, 6, 6), [2], phi, per_block=1, window=3)
    net, x = Generalised(plain, "l2"), torch.randn(5, 36, generator=torch.Generator().manual_seed(0)).double()
    begun = {name: w[None] for name, w in net.init(3).items()}
    mirrored = begun | {"W0": -begun["W0"], "V0": -begun["V0"]}
    product = {"W0": 4 * begun["V0"] * begun["W0"] / 12**0.5, "W1": begun["W1"]}
    found = net.apply(begun, x) + net.apply(mirrored, x)
    torch.testing.assert_close(found, plain.apply(product, x), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
def test_first_preactivations_have_unit_size(operator):
    """Over weights and patterns of N(0, 1), in the middle of the image: 1 for l2, and for l1 less by its rounding."""
    plain = Convolutional((1, 9, 9), [100], scaled(Tanh()), per_block=1, window=9, stride=1)
    net = Generalised(plain, operator)
    w = {name: one[None] for name, one in net.init(0).items()}
    x = torch.randn(100, 1, 9, 9, generator=torch.Generator().manual_seed(1)).double()
    z = net._meet(x, w["W0"], w.get("V0"), w["B0"], plain.windows[0])[0, :, :, 1, 1]
    rms = float(z.square().mean().sqrt())
    # 100 filters share 100 patterns: a tenth of a variance from either.
    assert 0.8 < rms < 1.2


def test_templates_begin_as_filters_do():
    plain = Convolutional((1, 8, 8), [3], scaled(Tanh()), window=3)
    begun = Generalised(plain, "l2").init(5)
    assert all(torch.equal(begun[name], w) for name, w in plain.init(5).items())
    assert not torch.equal(begun["V0"], begun["W0"])
    assert not begun["B1"].any()


def test_digits_have_a_network_of_small_windows_with_its_exact_kernel():
    batch = build(composed(*SMALL))
    net, x = batch.architecture, batch.dataset.x_train[:3]
    assert isinstance(net, Convolutional)
    assert (net.sides, net.layout.shapes["W1"]) == ([8, 4, 4], (3, 3, 3, 3))
    params = {name: w[None] for name, w in net.init(0).items()}
    torch.testing.assert_close(tangent_kernel(net, params, x), jacobian_kernel(net, params, x), rtol=1e-10, atol=1e-12)
    assert build(composed(*SMALL, "architecture.stride=1")).architecture.sides == [8, 8, 8]  # type: ignore[attr-defined]
    assert Convolutional((1, 7, 7), [3], scaled(Tanh()), window=3, stride=1).sides == [7, 7, 7]


def test_other_filters_are_another_run():
    """Ids of runs from before there were these keys are pinned in tests/pins."""
    others = ("architecture.operator=l2", "architecture.window=3", "architecture.stride=1")
    ids = [cells(composed("architecture=cnn", "dataset=mnist5k", *one))[0].run_id for one in [(), *zip(others)]]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("parametrisation=mup", r"architecture\.operator=l1 is scaled as ntk alone"),
        ("observe/also=[limit]", r"those of operator=l1 are not known; use operator=dot"),
        ("observe/also=[features]", "the layers of architecture=cnn are not known"),
        ("architecture.window=0", "architecture.window=0"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*SMALL, "architecture.operator=l1", override))


def test_a_coordinate_check_has_nothing_to_compare(capsys):
    assert main(["coord-check", "architecture=cnn", "architecture.operator=l1", "dataset=mnist5k"]) == 1
    assert "its layers are not known" in capsys.readouterr().err


def table(points):
    """Pairs of runs, 8 seeds, whose errors with an operator are that many points above those with products."""
    random, rows = np.random.default_rng(0), []
    for operator, more in [("dot", 0.0), *points.items()]:
        for seed in range(8):
            own = {} if operator == "dot" else {"operator": operator}  # what is at its default is not stored
            config = {"architecture": {"kind": "cnn", **own}}
            run = SimpleNamespace(config=config, history={}, inputs={})
            error = 0.05 + 0.01 * seed + more / 100 + random.normal(0, 0.002)
            rows.append({"h": 8, "sqrt_h_alpha": 1.0, "seed": seed, "outcome": "t_end", ERROR: error, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("more", "verdict"), [(0.5, AGREES), (-2.0, AGREES), (3.0, DIFFERS)])
def test_planted_claims(more, verdict):
    [row] = readings(squares, table({"l2": more, "gaussian": 40.0}))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(more, abs=0.3)

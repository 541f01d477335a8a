"""Weight spectra and the CKA of hidden layers, against their definitions written out."""

import numpy as np
import pytest
import torch

from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.kernels import cka
from feature_lazy.measure.observer import Observer
from feature_lazy.measure.quantities.features import HiddenCka
from feature_lazy.measure.quantities.spectra import Spectra, tail, trace_log
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from tests.arrays import normal
from tests.measure.observing import columns, moment, setting
from tests.measure.test_also import MEMBER, MOVED, NET, W0, X, Y, observed


def by_hand(values):
    """α, the Kolmogorov–Smirnov distance and the begin of the best tail, one candidate after another."""
    ordered, best = np.sort(values), (np.inf, np.nan, np.nan)
    for i in range(len(ordered) - 1):
        part = ordered[i:]
        alpha = 1 + len(part) / np.log(part / part[0]).sum()
        model = 1 - (part / part[0]) ** (1 - alpha)
        steps = np.arange(len(part) + 1) / len(part)
        best = min(best, (max(np.abs(steps[1:] - model).max(), np.abs(model - steps[:-1]).max()), alpha, part[0]))
    return best[1], best[0], best[2]


@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0])
def test_the_tail_of_a_power_law(exponent):
    n = 500
    law = (1 - (np.arange(n) + 0.5) / n) ** (-1 / (exponent - 1))
    other = np.random.default_rng(0).exponential(size=n)
    alpha, distance, begin = tail(torch.from_numpy(np.stack([law, other])))
    for found, values in zip(zip(alpha, distance, begin, strict=True), (law, other), strict=True):
        assert [float(one) for one in found] == pytest.approx(by_hand(values), rel=1e-9)
    # (α − 1)/√n is the error of a sample; quantiles have far less.
    assert float(alpha[0]) == pytest.approx(exponent, abs=(exponent - 1) / np.sqrt(n))
    assert float(distance[0]) < 0.01 < float(distance[1])


def test_a_few_values_and_those_that_have_diverged_have_no_tail():
    assert all(bool(one.isnan().all()) for one in tail(torch.ones(2, 49)))
    values = torch.rand(2, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    values[1, 3] = torch.nan
    alpha = tail(values).alpha
    assert alpha.isnan().tolist() == [False, True]


def test_singular_values_of_each_layer():
    found = observed(Spectra(top=2))
    for name, w in NET.layout.unflatten(MOVED).items():
        if min(w.shape[1:]) > 1:
            s = torch.linalg.svdvals(w / w.shape[2] ** 0.5)
            torch.testing.assert_close(found[f"spectra/{name}/singular_2"], s[:, 1])
            rank = (w.flatten(1) ** 2).sum(1) / (s[:, 0] ** 2 * w.shape[2])
            torch.testing.assert_close(found[f"spectra/{name}/stable_rank"], rank)
            assert found[f"spectra/{name}/alpha"].isnan().all()
    assert len(found) == 2 * 9  # two of the three weights are matrices


def test_exponents_are_not_cut():
    """Entries that are Gaussian have exponents of 4 to 15, which the package ``powerlaw`` cuts at 3 by default."""
    w = normal(6, 784, 300, seed=1)
    squares = torch.linalg.svdvals(w) ** 2
    alpha, distance, begin = tail(squares)
    assert float(alpha.median()) > 5
    # An independent calculation has a distance of 0.13, and 5.3 between the two ways to begin a tail.
    assert bool((distance > 0.1).all())
    assert float((begin / trace_log(squares)).median()) == pytest.approx(5.3, rel=0.3)


def test_the_tail_of_the_trace_log_condition():
    squares = torch.tensor([[8.0, 4.0, 0.5, 1.0, 0.25, 0.01]], dtype=torch.float64)
    # Over their mean, from the largest on, products are 3.49, 6.1, 2.7, 0.58: the last that is 1 or more ends with 1.
    assert float(trace_log(squares)) == 1.0
    scaled_alike = trace_log(7 * squares)
    torch.testing.assert_close(scaled_alike, 7 * trace_log(squares))
    same = torch.full((1, 9), 3.0, dtype=torch.float64)
    assert float(trace_log(same)) == 3.0


def test_scales_are_those_of_the_effective_matrix(caplog):
    """Of a layer behind ReLU, W·√2/√h; a layer with fewer than 50 units has no tail, and is named."""
    net = FullyConnected(60, [70, 80, 40], scaled(Relu()))
    w = normal(1, net.layout.size, seed=2)
    data = Dataset(normal(2, 60, seed=3), Y[:2], X[:2], Y[:2])
    stays = setting(net, data, SoftHinge(), alpha=torch.ones(1).double(), w0=w, n_test=0)
    found = columns(Observer(stays, [], {"x": Spectra()}).observe(moment(stays, torch.tensor([0]), w)))
    for name, scale in (("W0", 1 / 60), ("W1", 2 / 70)):
        squares = torch.linalg.svdvals(net.layout.unflatten(w)[name]) ** 2 * scale
        best, largest = tail(squares), squares[:, 0].log10()
        expected = {"alpha": best.alpha, "ks": best.distance, "lambda_min": best.begin}
        expected |= {"alpha_hat": best.alpha * largest, "log_spectral_norm": largest}
        for column, value in {**expected, "erg_lambda_min": trace_log(squares)}.items():
            torch.testing.assert_close(found[f"spectra/{name}/{column}"], value)
    assert found["spectra/W2/erg_lambda_min"].isnan().all()
    assert found["spectra/W2/log_spectral_norm"].isnan().all()
    assert "W2: fewer than 50 singular values" in caplog.text


def test_cka_of_hidden_layers():
    found = observed(HiddenCka(probe=6))
    assert set(found) == {"hidden_cka/W0", "hidden_cka/W1"}
    now, then = NET.layout.unflatten(MOVED), NET.layout.unflatten(W0[MEMBER])
    z, z0 = (X[:6] @ w["W0"].mT for w in (now, then))
    torch.testing.assert_close(found["hidden_cka/W0"], cka(z @ z.mT, z0 @ z0.mT))
    assert (found["hidden_cka/W0"] < 1 - 1e-6).all()
    same = observed(HiddenCka(probe=6), W0[MEMBER])
    assert all(torch.allclose(one, torch.ones(2).double()) for one in same.values())

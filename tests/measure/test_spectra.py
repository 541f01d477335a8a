"""Weight spectra and the CKA of hidden layers, against their definitions written out."""

import numpy as np
import pytest
import torch

from feature_lazy.kernels import cka
from feature_lazy.measure.quantities.features import HiddenCka
from feature_lazy.measure.quantities.spectra import Spectra, tail
from tests.measure.test_also import MEMBER, MOVED, NET, W0, X, observed


def by_hand(values):
    """α and the Kolmogorov–Smirnov distance of the best tail, one candidate after another."""
    ordered, best = np.sort(values), (np.inf, np.nan)
    for i in range(len(ordered) - 1):
        part = ordered[i:]
        alpha = 1 + len(part) / np.log(part / part[0]).sum()
        model = 1 - (part / part[0]) ** (1 - alpha)
        steps = np.arange(len(part) + 1) / len(part)
        best = min(best, (max(np.abs(steps[1:] - model).max(), np.abs(model - steps[:-1]).max()), alpha))
    return best[1], best[0]


@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0])
def test_the_tail_of_a_power_law(exponent):
    n = 500
    law = (1 - (np.arange(n) + 0.5) / n) ** (-1 / (exponent - 1))
    other = np.random.default_rng(0).exponential(size=n)
    alpha, distance = tail(torch.from_numpy(np.stack([law, other])))
    for found, values in zip(zip(alpha.tolist(), distance.tolist(), strict=True), (law, other), strict=True):
        assert found == pytest.approx(by_hand(values), rel=1e-9)
    # (α − 1)/√n is the error of a sample; quantiles have far less.
    assert float(alpha[0]) == pytest.approx(exponent, abs=(exponent - 1) / np.sqrt(n))
    assert float(distance[0]) < 0.01 < float(distance[1])


def test_a_few_values_and_those_that_have_diverged_have_no_tail():
    assert all(bool(one.isnan().all()) for one in tail(torch.ones(2, 49)))
    values = torch.rand(2, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    values[1, 3] = torch.nan
    alpha, _ = tail(values)
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
    assert len(found) == 2 * 5  # two of the three weights are matrices


def test_cka_of_hidden_layers():
    found = observed(HiddenCka(probe=6))
    assert set(found) == {"hidden_cka/W0", "hidden_cka/W1"}
    now, then = NET.layout.unflatten(MOVED), NET.layout.unflatten(W0[MEMBER])
    z, z0 = (X[:6] @ w["W0"].mT for w in (now, then))
    torch.testing.assert_close(found["hidden_cka/W0"], cka(z @ z.mT, z0 @ z0.mT))
    assert (found["hidden_cka/W0"] < 1 - 1e-6).all()
    same = observed(HiddenCka(probe=6), W0[MEMBER])
    assert all(torch.allclose(one, torch.ones(2).double()) for one in same.values())

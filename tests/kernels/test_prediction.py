"""Predictions of a fixed kernel against matrix functions and the differential equation that they solve."""

import math

import pytest
import torch
from scipy.linalg import expm

from feature_lazy.kernels import gp_prediction, infinite_kernels, mse_prediction
from feature_lazy.networks.activations import Softplus, scaled

P, P_TEST, TARGET = 12, 5, 1.1


@pytest.fixture(scope="module")
def kernel():
    """Θ on training and test patterns together, of condition number about 1e2."""
    x = torch.randn(P + P_TEST, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return infinite_kernels(scaled(Softplus(5.0)), 2, x).ntk


@pytest.fixture(scope="module")
def labels():
    return torch.tensor([1.0, -1.0]).repeat(P // 2)


def predict(kernel, labels, times, **options):
    return mse_prediction(kernel[:P, :P], kernel[P:, :P], labels, times, **options)


def test_follows_the_flow(kernel, labels):
    """dF/dt = Θ(c·y − F_train)/P on all patterns is linear in (F, 1): its solution is one exponential."""
    n = P + P_TEST
    flow = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    flow[:n, :P] = -kernel[:, :P] / P
    flow[:n, n] = TARGET * kernel[:, :P] @ labels.double() / P
    times = [0.0, 1e-3, 0.3, 5.0, 40.0]
    train, test = predict(kernel, labels, times, target=TARGET)
    assert train.shape == (5, P)
    assert test.shape == (5, P_TEST)
    for t, found in zip(times, torch.cat([train, test], 1), strict=True):
        expected = torch.from_numpy(expm(flow.numpy() * t))[:n, n]
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_starts_at_zero_and_ends_at_the_target(kernel, labels):
    for start in predict(kernel, labels, torch.zeros(1)):
        assert not start.any()
    train, test = predict(kernel, labels, [1e9, math.inf], target=TARGET)
    regression = kernel[P:, :P] @ torch.linalg.solve(kernel[:P, :P], TARGET * labels.double())
    for k in (0, 1):
        torch.testing.assert_close(train[k], TARGET * labels.double(), rtol=1e-12, atol=0)
        torch.testing.assert_close(test[k], regression, rtol=1e-11, atol=1e-11)


def test_slow_modes_keep_their_digits_and_those_of_rounding_stay():
    """λt/P = 1, 1e-12, and an eigenvalue below the rounding of the first, by which nothing may be divided."""
    theta = torch.diag(torch.tensor([1.0, 1e-12, 1e-17], dtype=torch.float64))
    train, test = mse_prediction(theta, theta, torch.ones(3), [3.0, 1e30])
    expected = [[-math.expm1(-1), 1e-12, 0.0], [1.0, 1.0, 0.0]]
    for found in (train, test):
        for row, exact in zip(found.tolist(), expected, strict=True):
            assert row == pytest.approx(exact, rel=1e-11, abs=0)


def test_null_modes_never_train(kernel, labels):
    """A training pattern that occurs twice, with labels that contradict: F stays where the kernel can reach."""
    double = torch.arange(P + P_TEST)
    double[1] = 0
    singular = kernel[double][:, double]
    reached = torch.linalg.pinv(singular[:P, :P], rtol=1e-12) @ labels.double()
    train, test = predict(singular, labels, [1e20, math.inf])
    for k in (0, 1):
        torch.testing.assert_close(train[k], singular[:P, :P] @ reached, rtol=0, atol=1e-10)
        torch.testing.assert_close(test[k], singular[P:, :P] @ reached, rtol=0, atol=1e-10)
    assert train[1, :2].tolist() == pytest.approx([0, 0], abs=1e-10)


def test_cutoff_leaves_modes_untrained(kernel, labels):
    rates, modes = torch.linalg.eigh(kernel[:P, :P])
    train, _ = predict(kernel, labels, [math.inf], cutoff=float(rates[-2] / rates[-1]) * 1.01)
    torch.testing.assert_close(train[0], modes[:, -1] * (modes[:, -1] @ labels.double()))


def test_columns_of_real_labels_are_predicted_each(kernel):
    y = torch.randn(P, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    times = [0.5, math.inf]
    apart = [predict(kernel, column, times) for column in y.mT]
    for k, found in enumerate(predict(kernel, y, times)):
        torch.testing.assert_close(found, torch.stack([one[k] for one in apart], -1), rtol=1e-12, atol=1e-13)


def test_refusals_say_what_is_wrong(kernel, labels):
    with pytest.raises(ValueError, match=r"shapes"):
        mse_prediction(kernel, kernel, labels, [1.0])
    with pytest.raises(ValueError, match="labels must be finite"):
        predict(kernel, labels * math.nan, [1.0])
    with pytest.raises(ValueError, match="0 or more"):
        predict(kernel, labels, [-1.0])
    with pytest.raises(ValueError, match="0 or more"):
        predict(kernel, labels, [math.nan])
    with pytest.raises(ValueError, match="not finite"):
        predict(kernel * math.inf, labels, [1.0])
    with pytest.raises(ValueError, match="not positive"):
        predict(kernel - 5, labels, [1.0])
    with pytest.raises(ValueError, match="not symmetric"):
        predict(kernel + torch.triu(kernel), labels, [1.0])


def both(seed=0):
    x = torch.randn(P + P_TEST, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    kernels = infinite_kernels(scaled(Softplus(5.0)), 2, x)
    return kernels.ntk, kernels.nngp


def gp(labels, times, *, diagonal=False):
    ntk, nngp = both()
    on_test = nngp[P:, P:].diagonal() if diagonal else nngp[P:, P:]
    return gp_prediction((ntk[:P, :P], ntk[P:, :P]), (nngp[:P, :P], nngp[P:, :P], on_test), labels, times)


def test_covariance_is_that_of_outputs_drawn_at_the_start_and_moved():
    """F(t) = (linear in F(0)) + mean on all patterns: the covariance is A Σ Aᵀ with A one matrix exponential."""
    ntk, nngp = both()
    y = torch.randn(P, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    n, times = P + P_TEST, [0.0, 0.3, 5.0, 40.0]
    means, covariances = gp(y, times)
    variances = gp(y, times, diagonal=True)[1]
    for t, mean, covariance, variance in zip(times, means, covariances, variances, strict=True):
        flow = torch.zeros(n, n, dtype=torch.float64)
        flow[:, :P] = -ntk[:, :P] / P
        moved = torch.from_numpy(expm(flow.numpy() * t))
        torch.testing.assert_close(covariance, (moved @ nngp @ moved.mT)[P:, P:], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(variance, covariance.diagonal(), rtol=1e-10, atol=1e-12)
        rest = torch.cat([y, ntk[P:, :P] @ torch.linalg.solve(ntk[:P, :P], y)])  # where the flow rests
        torch.testing.assert_close(mean, (rest - moved @ rest)[P:], rtol=1e-9, atol=1e-10)


def test_the_end_of_the_last_layer_alone_is_the_posterior():
    nngp = both()[1]
    theta = (nngp[:P, :P], nngp[P:, :P])
    y = torch.arange(P).double()
    means, covariances = gp_prediction(theta, (*theta, nngp[P:, P:]), y, [math.inf])
    solved = torch.linalg.solve(theta[0], theta[1].mT)
    torch.testing.assert_close(means[0], solved.mT @ y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(covariances[0], nngp[P:, P:] - theta[1] @ solved, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("labels", "words"),
    [(torch.full((P,), torch.nan), "labels must be finite"), (torch.ones(P + 1), "are the shapes of")],
)
def test_covariance_of_what_does_not_fit_is_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        gp(labels, [1.0])


def test_covariance_needs_the_test_set():
    nngp = both()[1]
    theta = (nngp[:P, :P], nngp[P:, :P])
    with pytest.raises(ValueError, match="must be \\(P_test, P_test\\) or its diagonal"):
        gp_prediction(theta, (*theta, nngp[:P, :P]), torch.ones(P), [1.0])

"""Kernel regression against direct solutions, and against where the flow under a frozen kernel ends."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.kernels import kernel_regression
from tests.arrays import normal

MEMBERS, P, P_TEST = 3, 12, 5


def kernels(features=40, seed=0):
    """K on training patterns and between test and training patterns, of features of their own for each member."""
    x = normal(MEMBERS, P + P_TEST, features, seed=seed)
    theta = x @ x.mT
    return theta[:, :P, :P], theta[:, P:, :P]


Y = normal(P, seed=7)


@pytest.mark.parametrize("ridge", [0, 1e-3, 2.0])
def test_equals_the_direct_solution(ridge):
    k, k_test = kernels()
    found = kernel_regression(k, k_test, Y, ridge=ridge)
    assert found.shape == (MEMBERS, P_TEST)
    for e in range(MEMBERS):
        shift = ridge * k[e].trace() / P
        expected = k_test[e] @ torch.linalg.inv(k[e] + shift * torch.eye(P).double()) @ Y
        torch.testing.assert_close(found[e], expected, rtol=1e-9, atol=1e-12)


def test_by_hand():
    """K = diag(1, 3) with mean diagonal 2, ridge ½: K + λ = diag(2, 4)."""
    k, k_test = torch.diag(torch.tensor([1.0, 3.0]))[None], torch.tensor([[[1.0, 1.0], [0.0, 2.0]]])
    assert kernel_regression(k, k_test, torch.tensor([4.0, 8.0]), ridge=0.5).tolist() == [[4, 4]]


def test_interpolates_as_the_ridge_vanishes():
    k, _ = kernels()
    errors = [float((kernel_regression(k, k, Y, ridge=ridge) - Y).abs().max()) for ridge in (1e-2, 1e-4, 1e-6, 0)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10
    assert errors[1] / errors[2] == pytest.approx(100, rel=0.05)  # first order in the ridge


def test_predicts_nothing_under_a_large_ridge():
    k, k_test = kernels()
    assert kernel_regression(k, k_test, Y, ridge=1e12).abs().max() < 1e-10


def test_is_where_the_frozen_flow_ends():
    """Ȧ = y − KA from 0 by its eigenvectors: F_test = K_test K⁻¹(1 − e^{−Kt}) y."""
    k, k_test = kernels()
    values, vectors = torch.linalg.eigh(k)
    t = 60 / values[:, :1]
    reached = (-torch.expm1(-values * t) / values * (vectors.mT @ Y)).unsqueeze(-1)
    flow = (k_test @ vectors @ reached).squeeze(-1)
    torch.testing.assert_close(kernel_regression(k, k_test, Y), flow, rtol=1e-8, atol=1e-10)


def test_columns_of_labels_are_apart():
    k, k_test = kernels()
    columns = normal(P, 4, seed=3)
    found = kernel_regression(k, k_test, columns, ridge=0.1)
    assert found.shape == (MEMBERS, P_TEST, 4)
    for c in range(4):
        torch.testing.assert_close(found[..., c], kernel_regression(k, k_test, columns[:, c], ridge=0.1))


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-4, 10))
def test_ignores_the_scale_of_the_kernel(seed, scale, ridge):
    k, k_test = kernels(seed=seed)
    expected = kernel_regression(k, k_test, Y, ridge=ridge)
    torch.testing.assert_close(kernel_regression(scale * k, scale * k_test, Y, ridge=ridge), expected)


def test_works_in_float64_and_leaves_its_arguments():
    k, k_test = kernels()
    single = k.float(), k_test.float(), Y.float()
    before = [part.clone() for part in single]
    found = kernel_regression(*single, ridge=1e-3)
    expected = kernel_regression(*[part.double() for part in before], ridge=1e-3)
    assert torch.equal(found, expected)
    kernel_regression(k, k_test, Y, ridge=1.0)
    assert torch.equal(k, kernels()[0])
    assert all(torch.equal(now, then) for now, then in zip(single, before, strict=True))


def test_singular_kernels_are_refused_with_what_to_set():
    # Ten features for twelve patterns: Cholesky may or may not meet a negative pivot.
    k, k_test = kernels(features=10)
    with pytest.raises(ValueError, match="larger ridge such as 1e-8"):
        kernel_regression(k, k_test, Y)
    for seed in range(20):
        with pytest.raises(ValueError, match="singular"):
            kernel_regression(*kernels(features=P - 1, seed=seed), Y)
    assert kernel_regression(k, k_test, Y, ridge=1e-8).isfinite().all()


NAN = torch.full((1,), math.nan, dtype=torch.float64)
K, K_TEST = kernels()
REFUSED = {
    "training kernel": (lambda: kernel_regression(K * NAN, K_TEST, Y), "training kernel has infinities"),
    "test kernel": (lambda: kernel_regression(K, K_TEST * NAN, Y), "test kernel has infinities"),
    "labels": (lambda: kernel_regression(K, K_TEST, Y * NAN), "labels has infinities"),
    "zero": (lambda: kernel_regression(0 * K, K_TEST, Y, ridge=1.0), "singular"),
    "negative ridge": (lambda: kernel_regression(K, K_TEST, Y, ridge=-1e-3), "negative"),
    "ridge of NaN": (lambda: kernel_regression(K, K_TEST, Y, ridge=math.nan), "must not be negative"),
    "indefinite": (lambda: kernel_regression(K - 9 * torch.eye(P), K_TEST, Y), "not positive"),
    "not square": (lambda: kernel_regression(K_TEST, K_TEST, Y), "square"),
    "too few columns": (lambda: kernel_regression(K, K_TEST[..., 1:], Y), "do not fit"),
    "too few labels": (lambda: kernel_regression(K, K_TEST, Y[1:]), "do not fit"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

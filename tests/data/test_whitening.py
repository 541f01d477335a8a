"""Whitened principal components, as a singular value decomposition gives them, and ZCA."""

from functools import partial

import numpy as np
import pytest
import scipy.linalg
import torch

from feature_lazy.core.errors import DataError
from feature_lazy.data.prepare import prepare
from feature_lazy.data.whitening import Components, Zca
from tests.arrays import normal


def blocks(x, size=7):
    return [x[i : i + size] for i in range(0, len(x), size)]


def test_components_are_those_of_a_singular_value_decomposition():
    x = normal(50, 6, seed=0).numpy() * [5, 4, 3, 2, 1, 0.5] + 3
    found = Components(blocks(x), 4)(x)
    u = np.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :4] * np.sqrt(50)
    # Each up to the sign that is chosen.
    np.testing.assert_allclose(found * np.sign((found * u).sum(0)), u, atol=1e-12)


def test_sign_is_that_of_the_largest_entry_and_blocks_do_not_matter():
    x = normal(50, 6, seed=0).numpy()
    one, many = (Components(blocks(x, size), 6) for size in (50, 3))
    np.testing.assert_allclose(one.matrix, many.matrix, rtol=1e-9)
    for column in one.matrix.T:
        assert column[np.abs(column).argmax()] > 0


def test_more_components_than_directions_are_refused():
    x = np.repeat(normal(50, 2, seed=0).numpy(), 2, axis=1)
    assert Components([x], 2)(x).shape == (50, 2)
    with pytest.raises(DataError, match="differ in 2 directions; 3 components were asked for"):
        Components([x], 3)


def test_every_component_has_variance_one_over_the_set():
    data = prepare("digits", 1720, 20, seed=0, whitening=partial(Components, components=10))
    x = torch.cat([data.x_train, data.x_test])
    assert data.shape == (10,)
    assert data.y_train.sum() == 0
    torch.testing.assert_close(x.mean(0), torch.zeros(10).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(x.T @ x / len(x), torch.eye(10).double(), atol=1e-11, rtol=0)


@pytest.mark.parametrize(("name", "classes"), [("digits", (3, 5)), ("mnist1d", ())])
def test_every_set_and_choice_of_classes_has_components(name, classes):
    data = prepare(name, 200, 100, seed=0, whitening=partial(Components, components=4), classes=classes)
    assert data.x_train.shape == (200, 4)
    # 300 of the patterns have the variance of all of them, up to some standard errors √(2/300) of Gaussian ones.
    assert (data.x_train.var(0) - 1).abs().max() < 0.4


def test_components_are_those_of_the_images_on_the_sphere():
    """Distances between patterns, which know no signs, from the definition."""
    data = prepare("digits", 1720, 20, seed=0, whitening=partial(Components, components=5))
    whole = prepare("digits", 1720, 20, seed=0)
    x = torch.cat([whole.x_train, whole.x_test])
    u = torch.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :5] * len(x) ** 0.5
    torch.testing.assert_close(torch.cdist(data.x_train, data.x_train), torch.cdist(u[:1720], u[:1720]))


def test_zca_is_the_inverse_root_of_the_regularised_covariance():
    """By SciPy's root of a matrix; every pattern is on its sphere, and pixels stay where they are."""
    x = normal(50, 6, seed=0).numpy() * [5, 4, 3, 2, 1, 0.5] + 3
    found = Zca(blocks(x), 0.1)(x)
    covariance = np.cov(x.T, bias=True)
    root = scipy.linalg.sqrtm(covariance + 0.1 * covariance.trace() / 6 * np.eye(6))
    white = (x - x.mean(0)) @ np.linalg.inv(root)
    np.testing.assert_allclose(found, white * np.sqrt(6) / np.linalg.norm(white, axis=1, keepdims=True), rtol=1e-10)


def test_without_variance_to_add_zca_leaves_the_identity():
    x = normal(500, 4, seed=1).numpy() * [1, 10, 100, 1000]
    white = Zca([x], 1e-12)
    np.testing.assert_allclose(np.cov(((x - white.mean) @ white.matrix).T, bias=True), np.eye(4), atol=1e-5)
    with pytest.raises(DataError, match="Pattern 1 is the mean of all"):
        white(np.stack([x[0], white.mean]))


def test_zca_of_a_set_is_fitted_on_all_its_images():
    plain, few = (prepare("digits", n, 20, seed=0) for n in (1720, 200))
    white = [prepare("digits", n, 20, seed=0, whitening=partial(Zca, regularisation=0.1)) for n in (1720, 200)]
    torch.testing.assert_close(white[0].x_train[:200], white[1].x_train, rtol=1e-12, atol=0)
    assert white[0].shape == plain.shape == (1, 8, 8)
    assert torch.equal(white[1].y_train, few.y_train)
    x = torch.cat([plain.x_train, plain.x_test]).numpy()
    np.testing.assert_allclose(white[1].x_train, Zca([x], 0.1)(few.x_train.numpy()), rtol=1e-9, atol=1e-12)

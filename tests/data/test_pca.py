"""Whitened principal components, as a singular value decomposition gives them."""

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import DataError
from feature_lazy.data.pca import Whitening
from feature_lazy.data.prepare import prepare
from tests.arrays import normal


def blocks(x, size=7):
    return [x[i : i + size] for i in range(0, len(x), size)]


def test_components_are_those_of_a_singular_value_decomposition():
    x = normal(50, 6, seed=0).numpy() * [5, 4, 3, 2, 1, 0.5] + 3
    found = Whitening(blocks(x), 4)(x)
    u = np.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :4] * np.sqrt(50)
    # Each up to the sign that is chosen.
    np.testing.assert_allclose(found * np.sign((found * u).sum(0)), u, atol=1e-12)


def test_sign_is_that_of_the_largest_entry_and_blocks_do_not_matter():
    x = normal(50, 6, seed=0).numpy()
    one, many = (Whitening(blocks(x, size), 6) for size in (50, 3))
    np.testing.assert_allclose(one.matrix, many.matrix, rtol=1e-9)
    for column in one.matrix.T:
        assert column[np.abs(column).argmax()] > 0


def test_more_components_than_directions_are_refused():
    x = np.repeat(normal(50, 2, seed=0).numpy(), 2, axis=1)
    assert Whitening([x], 2)(x).shape == (50, 2)
    with pytest.raises(DataError, match="differ in 2 directions; 3 components were asked for"):
        Whitening([x], 3)


def test_every_component_has_variance_one_over_the_set():
    data = prepare("digits", 1720, 20, seed=0, components=10)
    x = torch.cat([data.x_train, data.x_test])
    assert data.shape == (10,)
    assert data.y_train.sum() == 0
    torch.testing.assert_close(x.mean(0), torch.zeros(10).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(x.T @ x / len(x), torch.eye(10).double(), atol=1e-11, rtol=0)


@pytest.mark.parametrize(("name", "classes"), [("digits", (3, 5)), ("mnist1d", ())])
def test_every_set_and_choice_of_classes_has_components(name, classes):
    data = prepare(name, 200, 100, seed=0, components=4, classes=classes)
    assert data.x_train.shape == (200, 4)
    # 300 of the patterns have the variance of all of them, up to some standard errors √(2/300) of Gaussian ones.
    assert (data.x_train.var(0) - 1).abs().max() < 0.4


def test_components_are_those_of_the_images_on_the_sphere():
    """Distances between patterns, which know no signs, from the definition."""
    data = prepare("digits", 1720, 20, seed=0, components=5)
    whole = prepare("digits", 1720, 20, seed=0)
    x = torch.cat([whole.x_train, whole.x_test])
    u = torch.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :5] * len(x) ** 0.5
    torch.testing.assert_close(torch.cdist(data.x_train, data.x_train), torch.cdist(u[:1720], u[:1720]))

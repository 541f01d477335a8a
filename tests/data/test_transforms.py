"""Images with their pixels in another order: mirrored and transposed."""

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.build import build_data
from feature_lazy.settings.checks import validate
from tests.conftest import composed


@pytest.mark.parametrize("how", ["mirror", "transpose"])
def test_a_transform_puts_pixels_in_another_order(how):
    """Of all sets alike, after the mean image and the sphere, which know no order."""
    keys = ("dataset.n_train=10", "dataset.n_test=10", "dataset.n_valid=10", "labels=classes", "loss=cross_entropy")
    plain, other = (build_data(composed(*keys, f"dataset.transform={one}")) for one in ("none", how))
    for name in ("x_train", "x_test", "x_valid"):
        images, moved = (getattr(one, name).numpy().reshape(-1, 8, 8) for one in (plain, other))
        expected = images[:, :, ::-1] if how == "mirror" else np.transpose(images, (0, 2, 1))
        assert np.array_equal(moved, expected)
        assert not np.array_equal(moved, images)
    assert torch.equal(plain.y_test, other.y_test)
    assert not plain.fingerprint.agrees(other.fingerprint.name)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            ["dataset=mnist1d", "dataset.transform=mirror"],
            r"dataset\.transform=mirror: mnist1d has no rows and columns",
        ),
        (
            ["dataset.transform=transpose", "dataset.pca.components=5"],
            "components are those of the images in any order",
        ),
        (["dataset.transform=upside"], r"dataset\.transform="),
    ],
)
def test_a_transform_that_is_none(keys, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(composed(*keys))


def test_a_name_has_its_transform():
    name = composed("dataset.transform=transpose").dataset.name
    assert name == "digits transpose"

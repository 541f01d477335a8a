"""Random streams: decided by seed and purpose alone, today and on every machine."""

import hashlib

import numpy as np
import pytest

from feature_lazy.core.streams import stream
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected

MEANT = (
    "The weights that belong to seed 0 have changed, so every stored run is of other networks. If that was meant, "
    "raise SCIENCE_VERSION in feature_lazy/settings/cells.py and put the new hash here."
)


def weights(seed, d=64, widths=(30, 30)):
    return FullyConnected(d, widths, scaled(Relu())).init(seed)


def test_golden_first_weights():
    first = weights(0)["W0"].numpy()[:10]
    # Rounded to 12 digits: the hash must not hang on the last bit of a platform's logarithm.
    found = hashlib.sha256(np.round(first, 12).astype("<f8").tobytes()).hexdigest()[:16]
    assert found == "708923f4146fd2e8", MEANT


def test_same_seed_same_stream():
    assert (stream(3, "a", "b").random(100) == stream(3, "a", "b").random(100)).all()


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, "a"), (1, "a")), ((0, "a"), (0, "b")), ((0, "a", "b"), (0, "b", "a")), ((0, "ab"), (0, "a", "b"))],
)
def test_other_seed_or_purpose_other_stream(one, other):
    a, b = (stream(seed, *purpose).standard_normal(10_000) for seed, *purpose in (one, other))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(10_000)  # five standard errors of independent numbers


def test_layers_have_their_own_streams():
    w = weights(0, d=30)
    assert w["W0"].shape == w["W1"].shape
    assert (w["W0"] != w["W1"]).all()


def test_weights_are_standard_normal():
    w = weights(7, d=100, widths=(200,))["W0"].numpy()
    # Standard errors of mean and variance of 20 000 numbers: 0.007 and 0.01; five of them.
    assert abs(w.mean()) < 0.035
    assert abs(w.var() - 1) < 0.05

"""Data that cannot be learnt or measured are refused before training, with pattern or class; what is meant is not."""

import logging

import pytest
import torch

from feature_lazy import follow, regime
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.data import sense
from feature_lazy.data.custom import split
from tests.arrays import normal

X = normal(12, 4)
Y = torch.tensor([1.0, -1.0]).repeat(6)
SORTED = Y.sort().values
CLASSES = torch.tensor([0, 1, 2]).repeat(4)


def equal(i, j):
    """X with two equal patterns."""
    x = X.clone()
    x[j] = x[i]
    return x


ZEROS = X.clone()
ZEROS[2], ZEROS[5] = torch.zeros(4), -torch.zeros(4)

CASES = {
    "sorted by label": ((X, SORTED), "missing", r"no training pattern has the label \+1: of all 6 it is -1. Shuffle"),
    "one label": ((X, Y.abs()), "missing", "no training pattern has the label -1: of all 6"),
    "sorted by class": ((X, CLASSES.sort().values), "missing", "has the label 2: of all 6 it is 0 or 1. Shuffle"),
    "a test set of one": ((X, torch.cat([Y[:6], SORTED[:6].abs()])), "missing", "no test pattern has the label -1"),
    "contradiction": ((equal(1, 4), Y), "contradictions", "training patterns 1 and 4 are equal .* the labels -1 and 1"),
    "of classes": ((equal(1, 5), CLASSES), "contradictions", "training patterns 1 and 5 are equal .* labels 1 and 2"),
    "zeros of both signs": ((ZEROS, Y), "contradictions", "training patterns 2 and 5 are equal"),
    "seen": ((equal(3, 9), Y), "seen", "1 of 6 test patterns are training patterns, .* 3, which is training pattern 3"),
}


@pytest.mark.parametrize("name", CASES)
def test_data_of_which_nothing_can_come_are_refused_unless_they_are_meant(name):
    found, declared, message = CASES[name]
    with pytest.raises(DataError, match=message) as raised:
        split(lambda: found, 6, 6)
    assert "\n" not in str(raised.value)
    assert f"dataset.allow=[{declared}]" in str(raised.value)
    others = [word for word in ("contradictions", "missing", "seen") if word != declared]
    with pytest.raises(DataError, match=message):
        split(lambda: found, 6, 6, allow=others)
    assert len(split(lambda: found, 6, 6, allow=[declared]).x_train) == 6


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (CLASSES + 1, "class 0 never occurs among the 12 labels, whose largest is 3: number the classes"),
        (2 * CLASSES, "class 1 never occurs"),
        (torch.where(Y > 0, 1, 10**12), "class 0 never occurs"),
        (torch.where(Y > 0, 1, 255).to(torch.uint8), "class 0 never occurs"),  # −1 as an unsigned byte
    ],
)
def test_classes_that_never_occur_are_refused_always(labels, message):
    with pytest.raises(DataError, match=message):
        split(lambda: (X, labels), 6, 6, allow=["missing"])


@pytest.mark.parametrize(
    ("found", "n_train"),
    [
        ((X, Y), 6),
        ((X, CLASSES), 6),
        ((torch.cat([torch.ones(12, 1).double(), X], 1), Y), 6),  # equal in one number alone
        ((equal(0, 2), Y), 6),  # equal patterns of one label can be fit
        ((X, torch.cat([CLASSES[:6], CLASSES[:2].repeat(3)])), 6),  # not every class need be tested
    ],
)
def test_other_data_are_taken(found, n_train):
    assert len(split(lambda: found, n_train, 6).x_train) == n_train


@pytest.mark.parametrize(("factor", "said"), [(3.0, False), (0.4, False), (8.0, True), (0.1, True)])
def test_a_scale_far_from_the_articles_is_said_once(caplog, factor, said):
    """|x|²/d is about 1 for normal patterns, and factor² here."""
    sense._say.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            split(lambda: (factor * X, Y), 6, 6)
    assert len(caplog.records) == int(said)
    assert ("|x|² is" in caplog.text) is said


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()


def test_follow_needs_an_end_where_not_all_patterns_can_be_fit():
    data = equal(1, 4), Y
    with pytest.raises(ConfigError, match=r"patterns 1 and 4 are equal .* so training needs an end, t_end="):
        follow(net(), None, data, alpha=1.0)
    with pytest.raises(ConfigError, match="patterns 1 and 4 are equal"):
        regime(net(), None, data, (X, Y), alpha=1.0)
    assert follow(net(), None, data, alpha=1.0, t_end=0.1).t[-1] == pytest.approx(0.1)
    assert follow(net(), None, data, alpha=1.0, dynamics="sgd", t_end=0.1).t[-1] > 0

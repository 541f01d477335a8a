"""A user's own data are taken as they come, and looked at."""

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import DataError
from feature_lazy.data.custom import split
from tests.arrays import normal

X = normal(6, 2, 3)
Y = torch.tensor([1.0, -1, 1, -1, 1, -1])


def test_data_are_taken_as_they_come():
    data = split(lambda: (X.numpy(), Y.int().tolist()), 4, 2)
    assert data.shape == (2, 3)
    assert torch.equal(data.x_train, X[:4].flatten(1))
    assert torch.equal(data.x_test, X[4:].flatten(1))
    assert data.y_test.tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    "found",
    [
        (X.numpy().astype(">f8"), Y.numpy().astype("f4")),
        (X.numpy()[::-1][::-1], Y.numpy().astype("i1")[::-1][::-1]),
        (X.clone().requires_grad_(), pd.Series(Y.numpy())),
    ],
)
def test_arrays_of_every_kind_are_the_same_data(found):
    data = split(lambda: found, 4, 2)
    assert torch.equal(data.x_train, X[:4].flatten(1))
    assert data.y_train.tolist() == Y[:4].tolist()
    assert not data.x_train.requires_grad


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", ">i4"])
def test_classes_of_every_integer_dtype(dtype):
    data = split(lambda: (pd.DataFrame(X.flatten(1).numpy()), np.array([0, 1, 2, 0, 1, 2], dtype=dtype)), 3, 3)
    assert data.n_outputs == 3
    assert data.y_test.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("n_test", "spare", "left"), [(9, True, 4), (3, True, 3), (4, False, 4)])
def test_a_default_takes_what_there_is(n_test, spare, left):
    assert len(split(lambda: (X, Y), 2, n_test, spare=spare).x_test) == left


@pytest.mark.parametrize(("n_train", "spare"), [(2, False), (5, True), (6, True)])
def test_what_was_written_is_refused_and_so_is_a_test_set_of_one(n_train, spare):
    with pytest.raises(DataError, match="there are 6 patterns"):
        split(lambda: (X, Y), n_train, 9, spare=spare)


def test_integers_are_classes_and_all_of_them_count():
    data = split(lambda: (X, [0, 1, 1, 0, 2, 3]), 3, 2, allow=["missing"])
    assert data.n_outputs == 4
    assert data.y_train.dtype == torch.int64
    assert data.y_train.tolist() == [0, 1, 1]
    assert data.y_test.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (X, "the target returns Tensor; it must return two"),
        ((X, Y[:5]), r"patterns have the shape \(6, 2, 3\) and labels \(5,\)"),
        ((X[:4], Y[:4]), "there are 4 patterns; .* asks for 6"),
        ((X / 0, Y), "infinities or NaN"),
        ((X * 1j, Y), "patterns are complex"),
        ((X, Y * 1j), "labels are complex"),
        ((X[:, :0], Y), r"patterns have the shape \(6, 0, 3\)"),
        ((X[:, 0, 0], Y), r"patterns have the shape \(6,\)"),
        ((X, ["cat", "dog"] * 3), "labels are no numbers"),
        ((X, np.array([1, 2**63, 1, 1, 1, 1], dtype="u8")), "labels have integers of 2⁶³ or more"),
        ((X.long() + 2**53 + 9, Y), "patterns have integers beyond"),
        ((X, Y, Y), "returns three: .* choose labels=regression"),
        ((X, 2 * Y), r"labels must be \+1 or −1, or two or more classes 0 … C − 1 as integers"),
        ((X, (Y + 1) / 2), "classes 0 … C − 1 as integers"),
        ((X, Y > 0), "classes 0 … C − 1 as integers"),
        ((X, torch.tensor([0, 1, 2, 0, 1, -1])), "classes 0 … C − 1 as integers"),
        ((X, torch.zeros(6, dtype=torch.int64)), "two or more classes"),
    ],
)
def test_what_are_no_data_is_refused(found, message):
    with pytest.raises(DataError, match=message):
        split(lambda: found, 4, 2)


TARGETS = torch.tensor([0.25, -3, 1, 0, 0, 7])


def test_real_labels_are_taken_as_they_come_with_those_without_noise():
    data = split(lambda: (X, TARGETS.tolist(), TARGETS.numpy() + 1), 3, 2, 1, targets=True)
    assert data.n_outputs == 1
    assert [part.tolist() for part in (data.y_train, data.y_test, data.y_valid)] == [[0.25, -3, 1], [0, 0], [7]]
    assert data.f_test.tolist() == [1, 1]
    assert split(lambda: (X, TARGETS), 4, 2, targets=True).f_test is None
    # Signs and integers are numbers like others, and one value for all can be learnt.
    assert split(lambda: (X, torch.ones(6, dtype=torch.int64)), 4, 2, targets=True).y_train.tolist() == [1.0] * 4


def test_labels_without_noise_are_part_of_what_data_are_known_by():
    plain, clean, other = (
        split(lambda more=more: (X, TARGETS, *more), 4, 2, targets=True).fingerprint
        for more in ((), (TARGETS + 1,), (TARGETS + 2,))
    )
    assert len({str(one) for one in (plain, clean, other)}) == 3


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((X, TARGETS / 0), "labels.*infinities or NaN"),
        ((X, TARGETS, TARGETS[:5]), r"patterns have the shape \(6, 2, 3\) and labels \(5,\)"),
        ((X, TARGETS, TARGETS * 1j), "labels are complex"),
        ((X, torch.arange(6) + 2**53 + 1), "labels have integers beyond"),
        ((X[[0, 0, 1, 2, 3, 4]], TARGETS), "0 and 1 are equal and have the labels 0.25 and -3"),
        ((X, TARGETS, TARGETS, TARGETS), "it must return two"),
    ],
)
def test_real_labels_that_are_none_are_refused(found, message):
    with pytest.raises(DataError, match=message):
        split(lambda: found, 4, 2, targets=True)

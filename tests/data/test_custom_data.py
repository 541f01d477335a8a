"""A user's own data are taken as they come, and looked at."""

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


def test_integers_are_classes_and_all_of_them_count():
    data = split(lambda: (X, [0, 1, 1, 0, 2, 3]), 3, 2)
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

"""The door for arrays: what is an array of numbers enters as it is, and nothing is lost on the way."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from feature_lazy.core.arrays import finite, number, numbers, reals, tensor
from feature_lazy.core.errors import ConfigError, DataError

X = np.array([[1.0, -2.0], [0.5, 3.0], [4.0, 0.0]])
READ_ONLY = X.copy()
READ_ONLY.setflags(write=False)


@pytest.mark.parametrize(
    "values",
    [
        X.astype(">f8"),
        X[::-1][::-1],
        X[:, ::-1][:, ::-1],
        np.asfortranarray(X),
        X.astype("f4"),
        X.astype(np.longdouble),
        X.astype(complex),
        READ_ONLY,
        X.tolist(),
        [torch.from_numpy(row) for row in X],
        pd.DataFrame(X, columns=["a", "b"]),
        sparse.csr_matrix(X),
        sparse.coo_array(X),
        torch.from_numpy(X).to_sparse(),
        torch.from_numpy(X).requires_grad_(),
        np.ma.masked_array(X, mask=False),
    ],
)
def test_an_array_of_numbers_is_taken_as_it_is(values):
    found = reals(values, "patterns")
    assert found.dtype == torch.float64
    assert not found.requires_grad
    assert torch.equal(found, torch.from_numpy(X))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", ">i2", "i8", "?"])
def test_integers_stay_integers(dtype):
    found = tensor(np.array([0, 1, 1], dtype=dtype), "labels")
    assert not found.is_floating_point()
    assert found.tolist() == [0, 1, 1]


def test_the_users_array_is_not_written_into():
    found = reals(READ_ONLY, "patterns")
    found += 1
    assert READ_ONLY[0, 0] == 1


MASKED = np.ma.masked_array(X, mask=X > 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["cat", "dog"], "the patterns are no numbers .dtype <U3.: give numbers; names .*np.unique"),
        (np.array([b"cat"]), "no numbers"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "no numbers"),
        (pd.Series([1, None], dtype=object), "no numbers"),
        (None, "no numbers"),
        ([[1, 2], [3]], "the patterns are no array .list.: .*inhomogeneous"),
        (X + 1j, "complex .complex128., and only real numbers"),
        (torch.from_numpy(X) * 1j, "complex"),
        ([2**53 + 1], "integers beyond ±2⁵³"),
        ([-(2**53) - 1], "integers beyond ±2⁵³"),
        (np.array([2**53 + 1], dtype="u8"), "integers beyond ±2⁵³"),
        (np.array([2**63], dtype="u8"), "integers of 2⁶³ or more"),
        (np.ones(2, dtype=np.longdouble) / 3, "digits that float64 does not hold"),
        (MASKED, "masked in places"),
    ],
)
def test_what_would_lose_something_is_refused(values, message):
    with pytest.raises(DataError, match=message) as raised:
        reals(values, "patterns")
    assert "\n" not in str(raised.value)


def test_the_largest_integers_that_are_exact_pass():
    assert reals([2**53, -(2**53)], "labels").tolist() == [2.0**53, -(2.0**53)]


def test_the_first_that_is_not_finite_is_named():
    with pytest.raises(DataError, match=r"first at \[1, 0\]"):
        finite(torch.tensor([[1.0, 2.0], [math.nan, math.inf]]), "patterns")
    assert finite(torch.tensor([1, 2]), "tokens").tolist() == [1, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0, -1, "1", None, 1j, [1.0, 2.0], torch.ones(2)])
def test_what_is_no_number_in_the_range_is_refused(value):
    with pytest.raises(ConfigError, match=r"alpha=.*must be a finite number greater than 0"):
        number(value, "alpha", gt=0)
    with pytest.raises(ConfigError, match=r"must be a list of numbers|must be a finite number of at least 2"):
        numbers(value, "times", ge=2)


def test_numbers_of_every_kind():
    assert [number(v, "alpha", gt=0) for v in (1, np.float32(1), np.int64(1), torch.tensor(1.0), True)] == [1.0] * 5
    assert numbers(np.array([0.0, 2.0]), "times", ge=0) == numbers(torch.tensor([0, 2]), "times", ge=0) == [0.0, 2.0]

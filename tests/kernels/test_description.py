"""What describes a kernel, against values by hand, known distributions, and what must not change it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.kernels import (
    alignment,
    centred,
    cka,
    class_gram,
    describe,
    label_gradient_alignment,
    relative_change,
)
from tests.arrays import close, gram, normal, rotation

seeds = st.integers(0, 2**32 - 1)


def test_relative_change():
    theta0 = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]]])
    theta = torch.tensor([[[3.0, 6.0], [8.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]]])
    assert relative_change(theta, theta0).tolist() == [2.0, 0.0]


THETA = torch.tensor([[[2.0, -1.0], [-1.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
LABELS = torch.tensor([1.0, -1.0], dtype=torch.float64)


def test_describe():
    found = {name: value.tolist() for name, value in describe(THETA, LABELS).items()}
    root10 = math.sqrt(10)
    assert found["norm"] == pytest.approx([root10, 2])
    assert found["mean"] == pytest.approx([0.5, 1])
    assert found["trace"] == pytest.approx([4, 2])
    assert found["alignment"] == pytest.approx([6 / (2 * root10), 0])


def test_a_member_that_overflows_is_recorded_and_leaves_the_others_alone():
    theta = THETA.clone()
    theta[0, 0] = math.inf
    found = {**describe(theta, LABELS), "change": relative_change(theta, THETA)}
    assert not any(value[0].isfinite() for value in found.values())
    for name, value in describe(THETA, LABELS).items():
        assert repr(found[name][1]) == repr(value[1])  # NaN is not equal to itself
    assert found["change"][1] == 0


# Label–gradient alignment.


def test_label_gradient_alignment_is_the_correlation_of_entries():
    """Against NumPy's, of classes with three outputs, whose kernel is that of their sum."""
    classes, c = torch.tensor([0, 2, 1, 2, 0]), 3
    theta = gram(2, 5 * c, 30)
    same = np.where(classes[:, None] == classes, 1.0, -1.0)
    summed = theta.numpy().reshape(2, 5, c, 5, c).sum((2, 4))
    expected = [np.corrcoef(one.ravel(), same.ravel())[0, 1] for one in summed]
    close(label_gradient_alignment(theta, classes), expected)
    close(describe(theta, classes)["lga"], expected)


def test_label_gradient_alignment_takes_one_mean_away_and_not_those_of_rows():
    theta, y = gram(3, 12, 4), normal(12).sign()
    close(label_gradient_alignment(3 * theta + 5, y), label_gradient_alignment(theta, y).tolist())
    close(label_gradient_alignment(torch.outer(y, y)[None], y), [1.0])
    assert not torch.allclose(label_gradient_alignment(theta, y), cka(theta, torch.outer(y, y)))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.tensor([0.3, -1.0, 1.0]).double(), "the labels are real numbers: classes, or ±1, are needed"),
        (torch.ones(3).double(), "all patterns are of one class: two are needed"),
        (torch.tensor([0, 0, 0]), "all patterns are of one class"),
    ],
)
def test_labels_without_classes_are_refused_and_not_described(labels, sentence):
    theta = gram(1, 3, 4)
    with pytest.raises(ValueError, match=sentence):
        label_gradient_alignment(theta, labels)
    assert "lga" not in describe(theta, labels)


# Alignment.


def test_alignment_by_hand():
    theta = torch.tensor([[[3.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
    close(alignment(theta, torch.eye(2)), [7 / (5 * math.sqrt(2)), 2 / (2 * math.sqrt(2))], 1e-6)


def test_alignment_with_the_labels_is_that_with_their_kernel():
    theta, y = gram(3, 12, 4), normal(12).sign()
    close(alignment(theta, torch.outer(y, y)), describe(theta, y)["alignment"].tolist())


def test_class_gram():
    assert class_gram(torch.tensor([7, 2, 7])).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_two_classes_centred_are_the_labels_centred():
    classes = torch.tensor([0, 1, 1, 0, 1, 0, 0])
    y = 2.0 * classes.double() - 1
    theta = gram(2, 7, 3)
    close(2 * centred(class_gram(classes)).flatten(), centred(torch.outer(y, y)).flatten().tolist())
    close(cka(theta, class_gram(classes)), cka(theta, torch.outer(y, y)).tolist())


def test_centred_is_the_projection():
    h = torch.eye(9, dtype=torch.float64) - 1 / 9
    theta = normal(2, 9, 9)  # not symmetric: rows and columns each lose their own mean
    close(centred(theta).flatten(), (h @ theta @ h).flatten().tolist())


def test_cka_by_hand():
    """Features (1, 0, −1) and (0, 1, −1) are centred, with ⟨x, y⟩² / ‖x‖²‖y‖² = 1/4."""
    x, y = torch.tensor([1.0, 0.0, -1.0]).double(), torch.tensor([0.0, 1.0, -1.0]).double()
    close(cka(torch.outer(x, x)[None], torch.outer(y, y)), [0.25])


@given(seeds, st.floats(1e-6, 1e6), st.floats(0, 1e3))
def test_cka_ignores_rotation_of_features_scale_and_constant(seed, scale, constant):
    x, other = normal(2, 15, 4, seed=seed), gram(2, 15, 3, seed=seed + 1)
    theta, rotated = x @ x.mT, x @ rotation(4, seed)
    expected = cka(theta, other).tolist()
    close(cka(theta, theta), [1, 1])
    close(cka(rotated @ rotated.mT * scale, other), expected, 1e-6)
    close(cka(theta + constant, other), expected, 1e-6)
    close(cka(other, theta), expected)
    assert all(0 <= value <= 1 for value in expected)


def test_cka_of_independent_features_is_small():
    n, p, q = 500, 4, 9
    found = cka(gram(20, n, p, seed=1), gram(20, n, q, seed=2))
    # Of pq independent squared correlations of mean 1/P each, over √p·√q: √(pq)/P, with 20·36 terms of relative
    # standard deviation √2.
    assert float(found.mean()) == pytest.approx(math.sqrt(p * q) / n, rel=4 * math.sqrt(2 / (20 * p * q)))


# What is refused.

GOOD = gram(2, 6, 6)
BAD = GOOD.index_put((torch.tensor(1), torch.tensor(2), torch.tensor(2)), torch.tensor(math.nan).double())
OF_KERNELS = {
    "alignment": lambda theta: alignment(theta, GOOD),
    "cka": lambda theta: cka(GOOD, theta),
    "centred": centred,
}


@pytest.mark.parametrize("function", OF_KERNELS.values(), ids=OF_KERNELS)
def test_kernels_that_are_not_finite_or_not_square_are_refused(function):
    function(GOOD)
    with pytest.raises(ValueError, match="infinities or NaN"):
        function(BAD)
    with pytest.raises(ValueError, match="shape"):
        function(GOOD[:, :5])


ONES = torch.ones(1, 4, 4, dtype=torch.float64)
REFUSED = {
    "alignment of zero": (lambda: alignment(0 * ONES, ONES), "zero"),
    "cka of a constant": (lambda: cka(0.1 * ONES, torch.eye(4)), "constant"),
    "classes as labels": (lambda: class_gram(torch.tensor([1.0, -1.0])), "integers"),
    "classes as a table": (lambda: class_gram(torch.eye(2, dtype=torch.long)), "integers"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

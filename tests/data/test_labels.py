"""From classes to labels, balanced at every even size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.core.errors import DataError
from feature_lazy.data.labels import OneVsRest, Pairs, Parity, RandomLabels, Regression
from feature_lazy.data.prepare import interleave_classes, prepare

SIGNED = {
    "parity": Parity(),
    "one against the rest": OneVsRest(3),
    "pairs": Pairs((7, 2), (3, 5)),
    "random": RandomLabels(0),
}
signed = pytest.mark.parametrize("labels", SIGNED.values(), ids=SIGNED)


@signed
@given(data=st.data())
def test_every_even_cut_is_balanced_and_disjoint(labels, data):
    """Train and test sets of any even sizes; sizes of the classes differ."""
    counts = data.draw(st.lists(st.integers(9, 30), min_size=10, max_size=10))
    classes = np.repeat(np.arange(10), counts)
    names = labels.in_use(range(10))
    order = interleave_classes(classes, 0, labels.cycle(names))
    y = labels.values(classes[order], names, None)
    n_train = 2 * data.draw(st.integers(1, len(order) // 2 - 1))
    n_test = 2 * data.draw(st.integers(1, (len(order) - n_train) // 2))
    assert len(set(order.tolist())) == len(order)
    assert set(classes[order]) <= set(names)
    assert set(y) <= {-1.0, 1.0}
    assert y[:n_train].sum() == 0
    assert y[n_train : n_train + n_test].sum() == 0


@signed
def test_more_patterns_keep_the_labels_of_the_first(labels):
    small, large = (prepare("digits", n, 20, 0, labels=labels) for n in (40, 80))
    assert torch.equal(large.y_train[:40], small.y_train)


def test_parity_of_the_rank_and_not_of_the_class():
    """Cat and dog, both odd, are ranks 0 and 1."""
    assert Parity().values(np.array([3, 5, 5, 3]), [3, 5], None).tolist() == [-1, 1, 1, -1]


def test_odd_number_of_classes_is_refused():
    with pytest.raises(DataError, match="even number of classes; there are 3"):
        Parity().in_use([0, 1, 2])


def test_one_class_against_the_rest():
    assert OneVsRest(1).cycle([0, 1, 2, 3]) == [0, 1, 2, 1, 3, 1]
    assert OneVsRest(1).values(np.array([0, 1, 2, 1]), [0, 1, 2], None).tolist() == [-1, 1, -1, 1]
    # An odd number of classes is fine.
    data = prepare("digits", 100, 100, 0, labels=OneVsRest(4), classes=[1, 4, 7])
    assert data.classes_train[:4].tolist() == [0, 1, 2, 1]
    assert data.y_train.tolist() == [-1.0, 1.0] * 50


@pytest.mark.parametrize(("positive", "names"), [(4, [0, 1]), (0, [0])])
def test_one_class_without_a_rest_is_refused(positive, names):
    with pytest.raises(DataError, match=f"{positive} is not one of several classes"):
        OneVsRest(positive).in_use(names)


def test_pairs():
    pairs = Pairs((7, 2), (3, 5))
    assert pairs.in_use(range(10)) == [2, 3, 5, 7]
    assert pairs.cycle([2, 3, 5, 7]) == [7, 3, 2, 5]
    assert pairs.values(np.array([7, 3, 2, 5]), [2, 3, 5, 7], None).tolist() == [-1, 1, -1, 1]


@pytest.mark.parametrize(
    ("minus", "plus"), [((), ()), ((1,), ()), ((1, 2), (2, 3)), ((1, 1), (2, 3)), ((1,), (10,))], ids=str
)
def test_wrong_pairs_are_refused(minus, plus):
    with pytest.raises(DataError, match="must be as many, each class once"):
        Pairs(minus, plus).in_use(range(10))


def test_random_labels_are_decided_by_their_seed_alone():
    same, again, other = (RandomLabels(seed).values(np.zeros(1000), [0], None) for seed in (0, 0, 1))
    assert np.array_equal(same, again)
    # Independent coins agree in half of 500 pairs, up to three standard deviations.
    assert abs((same == other).mean() - 0.5) < 3 * 0.5 / np.sqrt(500)


def test_random_labels_know_nothing_of_the_class():
    """Correlation with the parity of the class: 0 with a standard deviation of 1/√870 over the 870 pairs of digits."""
    random, parity = (prepare("digits", 1720, 20, 0, labels=labels).y_train for labels in (RandomLabels(0), Parity()))
    assert abs(float((random * parity).mean())) < 3 / np.sqrt(860)


def test_regression_on_the_rank():
    y = Regression().values(np.array([1, 4, 9, 1]), [1, 4, 9], None)
    np.testing.assert_allclose(y, np.sqrt(1.5) * np.array([-1, 0, 1, -1]), rtol=1e-15)
    assert Regression().values(np.array([3, 5]), [3, 5], None).tolist() == [-1, 1]
    data = prepare("digits", 500, 100, 0, labels=Regression())
    torch.testing.assert_close(data.y_train.mean(), torch.tensor(0.0).double())
    torch.testing.assert_close(data.y_train.square().mean(), torch.tensor(1.0).double())


def test_regression_takes_odd_sizes_and_not_one_class():
    assert len(prepare("digits", 21, 20, 0, labels=Regression()).y_train) == 21
    with pytest.raises(DataError, match="two classes or more; there is 1"):
        Regression().in_use([3])


def test_regression_prefers_the_targets_of_the_set():
    target = np.array([0.5, -2.0])
    assert Regression().values(np.array([0, 1]), [0, 1], target) is target

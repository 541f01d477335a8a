"""Sets drawn from a law: labels recomputed from the definition, moments against theory, one split for each seed."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from feature_lazy.core.errors import DataError
from feature_lazy.core.streams import stream
from feature_lazy.data.labels import OneVsRest, Parity, Regression
from feature_lazy.data.mnist1d import generate
from feature_lazy.data.prepare import draw, prepare, prepare_synthetic
from feature_lazy.data.synthetic import Quadratic, SparseParity, Spheres, Stripe, TeacherStudent
from tests.data.test_datasets import SPLIT_MEANT

STRIPE = [-0.3, 1.18549]
LAWS = {
    "teacher": TeacherStudent(dim=20, hidden=3),
    "stripe": Stripe(dim=5, interfaces=STRIPE),
    "parity": SparseParity(dim=12, order=3),
    "spheres": Spheres(dim=7, shells=4),
    "quadratic": Quadratic(dim=6),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@every_law
def test_balanced_disjoint_and_seeded(law):
    data, again, other = (prepare_synthetic(law, 200, 100, seed) for seed in (0, 0, 1))
    x = torch.cat([data.x_train, data.x_test])
    assert x.shape == (300, law.dim)
    assert data.shape == (law.dim,)
    assert len(torch.unique(x, dim=0)) == 300
    assert data.y_train.sum() == data.y_test.sum() == 0
    assert torch.equal(data.x_train, again.x_train)
    assert not torch.equal(data.x_train, other.x_train)


@every_law
@given(n=st.integers(1, 3000), cycle=st.sampled_from([(0, 1), (1, 0, 1)]))
def test_more_patterns_keep_the_first_ones(law, n, cycle):
    few, many = draw(law, 0, cycle, min(n, 1500)), draw(law, 0, cycle, min(n, 1500) + 7)
    for small, large in zip(few, many, strict=True):
        assert large is None or np.array_equal(small, large[: len(small)])
    assert np.array_equal(many[1], np.resize(cycle, len(many[1])))


@every_law
def test_classes_follow_from_the_patterns(law):
    x, classes, targets = draw(law, 3, (0, 1), 500)
    expected = {
        "TeacherStudent": lambda: teacher(law, x, seed=3) > 0,
        "Stripe": lambda: (x[:, 0] > -0.3) & (x[:, 0] < 1.18549),
        "SparseParity": lambda: x[:, 0] * x[:, 1] * x[:, 2] > 0,
        "Spheres": lambda: classes,
        "Quadratic": lambda: abs(x[:, 0]) > 0.6744897501960817,  # the upper quartile of N(0, 1)
    }[type(law).__name__]()
    assert np.array_equal(classes, expected)
    if isinstance(law, TeacherStudent):
        assert np.array_equal(targets > 0, classes)


def teacher(law, x, seed):
    """Σ_m erf(w_m·x/√(2d))/√M, one hidden unit at a time."""
    w = stream(seed, "synthetic", "teacher").standard_normal((law.hidden, law.dim))
    return sum(erf(x @ w[m] / np.sqrt(2 * law.dim)) for m in range(law.hidden)) / np.sqrt(law.hidden)


def test_target_of_the_teacher_has_variance_one():
    """Var of a mean of squares of n = 40000 draws: the standard error of the variance is below √(2/n) = 0.7 %."""
    law = TeacherStudent(dim=20, hidden=3)
    y = prepare_synthetic(law, 39998, 2, 0, labels=Regression()).y_train
    assert abs(float(y.square().mean()) - 1) < 3 * np.sqrt(2 / 40000)
    x, _, target = draw(law, 0, (0, 1), 100)
    ratio = target / teacher(law, x, seed=0)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)


def test_quadratic_target_has_variance_one_half_and_its_class_is_a_half():
    data = prepare_synthetic(Quadratic(dim=3), 20_000, 2, 5, labels=Regression())
    assert torch.equal(data.y_train, data.x_train[:, 0] ** 2 / 2)
    # Of 10⁴ patterns of each class; x₁⁴ has a standard deviation of 10: 5 σ.
    assert float(data.y_train.mean()) == pytest.approx(0.5, abs=5 * 0.71 / 20_000**0.5)
    assert float(data.y_train.var()) == pytest.approx(0.5, abs=5 * 2.6 / 20_000**0.5)
    drawn = Quadratic(dim=3).label(np.random.default_rng(0).standard_normal((40_000, 3)), 0)[0]
    assert drawn.mean() == pytest.approx(0.5, abs=5 * 0.5 / 40_000**0.5)


def test_stripe_encloses_half_of_the_patterns():
    x = stream(0, "test").standard_normal((40000, 1))
    share = Stripe(dim=1, interfaces=STRIPE).label(x, 0)[0].mean()
    assert abs(share - 0.5) < 3 * 0.5 / np.sqrt(40000)
    three = Stripe(dim=1, interfaces=[0.0, 1.0, 2.0])
    assert three.label(np.array([[-1], [0.5], [1.5], [3]]), 0)[0].tolist() == [0, 1, 0, 1]


def test_shells_are_equally_likely():
    """Shares of n = 40000 Gaussian patterns: ¼ with a standard deviation of √(3/16n) = 0.2 %."""
    law = Spheres(dim=7, shells=4)
    counts = np.bincount(law.label(law.patterns(stream(0, "test"), 40000), 0)[0], minlength=4)
    assert np.abs(counts / 40000 - 0.25).max() < 4 * np.sqrt(3 / 16 / 40000)
    radius = np.array([[0.1], [1.0], [10.0]])
    assert Spheres(dim=1, shells=2).label(radius, 0)[0].tolist() == [0, 1, 1]  # the median of |x| is 0.674


def test_patterns_of_signs():
    law = SparseParity(dim=6, order=2)
    x, _, _ = draw(law, 0, (0, 1), 32)  # half of all there are
    assert set(x.ravel()) == {-1.0, 1.0}
    assert len(np.unique(x, axis=0)) == 32


def test_class_that_never_occurs_is_given_up():
    with pytest.raises(DataError, match="a class hardly ever occurs"):
        draw(Stripe(dim=1, interfaces=[40.0]), 0, (0, 1), 2)


def test_odd_sizes_and_odd_classes_are_refused():
    with pytest.raises(DataError, match="must be even"):
        prepare_synthetic(Stripe(dim=2, interfaces=STRIPE), 21, 20, 0)
    with pytest.raises(DataError, match="even number of classes; there are 3"):
        prepare_synthetic(Spheres(dim=2, shells=3), 20, 20, 0, labels=Parity())
    data = prepare_synthetic(Spheres(dim=2, shells=3), 40, 20, 0, labels=OneVsRest(0))
    assert data.classes_train[:4].tolist() == [1, 0, 2, 0]


def test_golden_split_of_signs():
    """Integers only, so that no machine may differ."""
    x, classes, _ = draw(SparseParity(dim=30, order=3), 0, (0, 1), 1000)
    rows = np.concatenate([x.astype("<i8"), classes[:, None].astype("<i8")], axis=1)
    assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == "e9060d1a376f01bd", SPLIT_MEANT


def test_mnist1d_is_drawn_with_the_data_seed_and_leaves_global_streams_alone():
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    x, classes = generate(42)
    assert np.array_equal(np.random.random(3), expected)
    assert np.bincount(classes).tolist() == [500] * 10
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-12)
    assert not np.array_equal(x, generate(0)[0])
    # Prepared, the same patterns in classes that take turns.
    whole = prepare("mnist1d", 4980, 20, seed=42)
    assert whole.shape == (40,)
    direction = torch.nn.functional.normalize(torch.from_numpy(x - x.mean(axis=0)))
    cosine = torch.nn.functional.normalize(whole.x_train[:20]) @ direction.T
    assert classes[cosine.argmax(1)].tolist() == list(range(10)) * 2
    torch.testing.assert_close(cosine.amax(1), torch.ones(20).double())


@pytest.mark.parametrize(("n_train", "said"), [(4, True), (6, False), (20, False), (22, True)])
def test_numbers_of_patterns_at_which_nothing_is_delayed_are_told(n_train, said, caplog):
    Quadratic(dim=6, n_train=n_train, n_test=2).build(Regression())
    assert ("d(d + 1)/2 = 21" in caplog.text) == said
    caplog.clear()
    Quadratic(dim=6, n_train=n_train, n_test=2).build(Parity())
    assert not caplog.text

"""A function of the class as labels: balanced, and refused in a sentence if it is none."""

import numpy as np
import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.build import build_data
from feature_lazy.settings.checks import validate
from feature_lazy.settings.objects import own
from tests.conftest import composed


def job(rule, *more):
    path = rule if isinstance(rule, str) else own(rule)
    return composed("labels=custom", f"labels.target={path}", "dataset.n_train=42", "dataset.n_test=24", *more)


def small_is_minus(c):
    return 1 if c > 2 else -1


def test_labels_are_the_rule_and_balanced():
    config = job(small_is_minus)
    validate(config)
    data = build_data(config)
    names = np.arange(10)[data.classes_train.numpy()]
    assert data.y_train.tolist() == [small_is_minus(name) for name in names]
    assert float(data.y_train.sum()) == float(data.y_test.sum()) == 0
    # Seven classes are +1 and three −1: 21 patterns of each label, 3 of each of the seven and 7 of each of the three.
    assert np.bincount(names).tolist() == [7, 7, 7, *[3] * 7]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "labels.target: a target of your own is needed"),
        ("tests.data.test_own_labels.nothing", "has no 'nothing'"),
        (lambda c: 1, "have the same label; both \\+1 and −1 must occur"),
        (lambda c: c / 2, "it gives 0 for class 0, then 0; it must be ±1"),
        (lambda c: c.mean(), "it fails on class 0"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule, message):
    with pytest.raises(ConfigError, match=message):
        validate(job(rule))

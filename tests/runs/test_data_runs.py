"""Data and labels from a configuration to a run."""

from functools import partial

import pytest
import torch

from feature_lazy.core.errors import DataError
from feature_lazy.data.labels import OneVsRest
from feature_lazy.data.prepare import prepare
from feature_lazy.data.whitening import Components
from feature_lazy.dynamics.losses import SquaredError
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from tests.conftest import QUICK
from tests.data.test_public_sets import CONTENT
from tests.settings.test_config import OPTIONS

DATASETS = [
    option for group, option in OPTIONS if group == "dataset" and option not in ("custom", "file", "folder")
]  # of one's own: tests/data/test_on_disk.py, tests/networks/test_custom.py
DRAWN = {"dirichlet": "by chance", "permutation": "a class each", "signal": "real numbers"}
"""Sets whose labels come as they come: they are not balanced."""
SMALL = ("dataset.n_train=20", "dataset.n_test=20")


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_is_built_or_says_what_it_needs(configure, tmp_path, name):
    own = ["dataset.dim=20"] if name == "permutation" else []  # as many patterns as bits
    config = configure(f"dataset={name}", *SMALL, *own)
    if name in CONTENT:
        config.dataset.root = str(tmp_path)
        with pytest.raises(DataError, match=f"run: feature-lazy data fetch {name} --root"):
            config.dataset.build(config.labels)
        return
    data = config.dataset.build(config.labels)
    assert name in DRAWN or data.y_train.sum() == data.y_test.sum() == 0
    assert len(data.x_train) == len(data.x_test) == 20


def test_keys_reach_the_data(configure):
    config = configure("dataset=digits", "dataset.seed=3", "dataset.pca.components=4", "labels=one_vs_rest", *SMALL)
    config.dataset.classes = [1, 4, 7]
    expected = prepare(
        "digits", 20, 20, 3, whitening=partial(Components, components=4), classes=[1, 4, 7], labels=OneVsRest(1)
    )
    found = config.dataset.build(config.labels)
    assert torch.equal(found.x_test, expected.x_test)
    assert torch.equal(found.y_train, expected.y_train)
    config = configure("dataset=teacher_student", "dataset.dim=7", "dataset.hidden=1", "labels=random", *SMALL)
    assert config.dataset.build(config.labels).shape == (7,)


def test_every_kind_of_labels_trains(tiny):
    """On ten principal components: every rule, and the columns that tell runs apart."""
    rules = {
        "parity": (),
        "one_vs_rest": (),
        "pairs": ("labels.minus=[3,1]", "labels.plus=[5,0]"),
        "random": (),
    }
    for name, keys in rules.items():
        config = tiny(f"labels={name}", *keys, "dataset.pca.components=10", *QUICK)
        validate(config)
        [stored] = run(build(config))
        assert stored.summary["outcome"] == "converged"
        assert stored.columns["dataset"] == "digits pca10"
        assert stored.columns["labels"] == name


def test_regression_fits_every_target(tiny):
    """To margin_tol, from both sides, and in the closed form of the lazy limit: F = y at the end."""
    config = tiny("dataset=teacher_student", "labels=regression", "loss=mse", "loss.margin_tol=0.05", "alpha.value=1e4")
    experiment = build(config)
    assert experiment.loss == SquaredError(0.05)
    [stored] = run(experiment)
    assert stored.summary["outcome"] == "converged"
    missed = abs(stored.outputs["F_train"] - stored.outputs["y_train"])
    # The event is found by bisection on the step's dense output: the largest error is the tolerance there.
    assert missed.max() < 0.0501
    assert missed.max() > 0.049
    assert not set(stored.outputs["y_train"].tolist()) <= {-1.0, 1.0}


def test_names_of_patterns(configure):
    assert configure("dataset=emnist_balanced").dataset.name == "emnist_balanced"
    cat_dog = configure("dataset=cifar10", "dataset.classes=[3,5]", "dataset.pca.components=10")
    assert cat_dog.dataset.name == "cifar10[3,5] pca10"
    assert configure("dataset=stripe").dataset.name == "stripe"

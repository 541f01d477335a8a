"""What data and labels may be, and what a network asks of them."""

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.checks import validate

REFUSED = {
    "dataset=mnist dataset.classes=[0,1,2]": "dataset.classes=[0,1,2] and labels=parity: parity labels need an even "
    "number of classes; there are 3.",
    "dataset=emnist_balanced dataset.classes=[]": "dataset.classes=[] and labels=parity: parity labels need an even "
    "number of classes; there are 47.",
    "dataset=spheres dataset.shells=3": "dataset.shells=3 and labels=parity: parity labels need an even number of "
    "classes; there are 3.",
    "dataset=emnist_letters dataset.classes=[0,1]": "dataset.classes=[0,1]: emnist_letters has the classes 1 … 26.",
    "dataset.classes=[3,3]": "dataset.classes=[3,3]: each class may be named once.",
    "dataset.classes=[3,5]": "dataset.n_train=500 and dataset.n_test=1000: digits has 364 patterns in balanced "
    "classes; ask for at most as many in total.",
    "dataset=mnist labels=one_vs_rest labels.positive=5 dataset.n_train=12618": "dataset.n_train=12618 and "
    "dataset.n_test=2000: mnist has 12618 patterns in balanced classes; ask for at most as many in total.",
    "labels=one_vs_rest labels.positive=10 dataset.classes=[3,5]": "dataset.classes=[3,5] and labels=one_vs_rest "
    "labels.positive=10: one class against the rest: 10 is not one of several classes [3, 5].",
    "labels=pairs": "dataset.classes=[] and labels=pairs labels.minus=[] labels.plus=[]: pairs of classes: [] and [] "
    "must be as many, each class once, out of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].",
    "dataset=cifar10 dataset.classes=[3,5] labels=pairs labels.minus=[3] labels.plus=[5]": "dataset.classes=[3,5]: "
    "with labels=pairs the pairs say which classes are used; leave it [].",
    "labels=regression": "loss=soft_hinge: labels=regression are real numbers; use loss=mse.",
    "labels=regression loss=mse loss.target=1.1": "loss.target=1.1: labels=regression are the targets themselves; it "
    "must be 1.",
    "labels=random dataset.n_test=999": "dataset.n_test=999: must be even, so that the labels are balanced.",
    "dataset.pca.components=5 dataset.whiten.zca=0.1": "dataset.whiten.zca=0.1: the components of "
    "dataset.pca.components=5 are white already; leave one of them 0.",
    "dataset.pca.components=65": "dataset.pca.components=65: digits has d = 64 numbers.",
    "dataset=stripe dataset.interfaces=[1,0]": "dataset.interfaces=[1.0,0.0]: must be one or more numbers, ascending.",
    "dataset=stripe dataset.interfaces=[]": "dataset.interfaces=[]: must be one or more numbers, ascending.",
    "dataset=sparse_parity dataset.order=31": "dataset.order=31: must be at most dataset.dim=30.",
    "dataset=sparse_parity dataset.dim=12": "dataset.dim=12: there are 4096 patterns of signs, and "
    "dataset.n_train=1000 and dataset.n_test=2000 may ask for half of them at most.",
    # What a network asks of patterns.
    "architecture=cnn dataset=mnist5k dataset.pca.components=10": "architecture=cnn: it takes images, (channels, rows, "
    "columns), and with dataset.pca.components=10 patterns have the shape (10,); use another architecture or other "
    "data.",
    "architecture=wide_resnet dataset=mnist1d": "architecture=wide_resnet: it takes images, (channels, rows, columns), "
    "and with dataset=mnist1d patterns have the shape (40,); use another architecture or other data.",
    "architecture=cnn dataset=stripe": "architecture=cnn: it takes images, (channels, rows, columns), and with "
    "dataset=stripe patterns have the shape (30,); use another architecture or other data.",
    "dataset=custom dataset.target=tests.arrays.normal labels=classes": "labels=classes: the target of dataset=custom "
    "returns the labels; leave labels=parity, or say by labels=regression that they are real numbers.",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_wrong_data_are_refused(configure, overrides):
    with pytest.raises(ConfigError) as refusal:
        validate(configure(*overrides.split()))
    assert str(refusal.value) == REFUSED[overrides]


@pytest.mark.parametrize(
    "overrides",
    [
        "labels=regression loss=mse dataset.n_train=501",
        "dataset=emnist_balanced dataset.classes=[] labels=one_vs_rest",
        "dataset=cifar10 labels=pairs labels.minus=[3] labels.plus=[5]",
        "dataset=mnist dataset.n_train=13000 dataset.n_test=50130 observe.kernel.final=false",  # 10 × 6313, all
        "dataset=mnist dataset.classes=[1,7] dataset.n_train=10000 dataset.n_test=4000",  # these classes have 7293
        "dataset=spheres dataset.shells=3 labels=random",
    ],
)
def test_fitting_data_and_labels_pass(configure, overrides):
    validate(configure(*overrides.split()))

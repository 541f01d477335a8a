"""Public sets from small files in their own formats: pooled, upright, grey or coloured, and none if one is damaged."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import DataError
from feature_lazy.data import cache
from feature_lazy.data.prepare import prepare
from feature_lazy.data.registry import FILES
from feature_lazy.data.sources import load_source, sources
from feature_lazy.settings.registry import find
from tests.data.conftest import cifar_tar, emnist_zip, images, mnist_files, remote

TRAIN, TEST = np.repeat(np.arange(10), 3), np.repeat(np.arange(10), 2)
LETTERS = [np.repeat(np.arange(1, 27), 3), np.repeat(np.arange(1, 27), 2)]
BALANCED = [np.repeat(np.arange(47), 3), np.repeat(np.arange(47), 2)]
BATCHES = [np.arange(10)] * 6
CONTENT = {
    **{name: (name, mnist_files([TRAIN, TEST])) for name in ("mnist", "fashion_mnist", "kmnist")},
    "emnist_letters": ("emnist", {"emnist-gzip.zip": emnist_zip("letters", LETTERS)}),
    "emnist_balanced": ("emnist", {"emnist-gzip.zip": emnist_zip("balanced", BALANCED)}),
    "cifar10": ("cifar10", {"cifar-10-binary.tar.gz": cifar_tar(BATCHES)}),
    "cifar10_colour": ("cifar10", {"cifar-10-binary.tar.gz": cifar_tar(BATCHES)}),
}
CLASSES = {
    **{name: [TRAIN, TEST] for name in ("mnist", "fashion_mnist", "kmnist")},
    "emnist_letters": LETTERS,
    "emnist_balanced": BALANCED,
    **dict.fromkeys(("cifar10", "cifar10_colour"), BATCHES),
}
every_set = pytest.mark.parametrize("name", CONTENT)


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Write a set's small files to a cache folder, and make the registry and the entry of the set agree with them."""

    def written(name):
        folder, files = CONTENT[name]
        assert [file.name for file in FILES[folder]] == list(files)
        monkeypatch.setattr(cache, "FILES", {folder: tuple(remote(file, data) for file, data in files.items())})
        per_class = 6 if name.startswith("cifar10") else 5
        small = replace(sources()[name], counts=(per_class,) * len(sources()[name].counts))
        monkeypatch.setattr(find("dataset", name), "source", small)
        (tmp_path / folder).mkdir()
        for file, data in files.items():
            (tmp_path / folder / file).write_bytes(data)
        return str(tmp_path)

    return written


@every_set
def test_set_is_pooled_and_prepared(put, name):
    root = put(name)
    x, classes = load_source(name, root)
    d = sources()[name].input_dim
    assert x.shape == (len(classes), d)
    assert np.array_equal(classes, np.concatenate(CLASSES[name]))  # train part, then test part
    data = prepare(name, 20, 10, seed=0, root=root, classes=range(2, 12) if "emnist" in name else ())
    assert data.shape == sources()[name].shape
    torch.testing.assert_close(data.x_train.square().sum(1), torch.full((20,), float(d)).double())
    assert data.y_train.tolist() == [-1.0, 1.0] * 10


def test_images_of_mnist(put):
    x, _ = load_source("mnist", put("mnist"))
    expected = np.concatenate([images(30, (28, 28), seed=0), images(20, (28, 28), seed=1)])
    assert np.array_equal(x.reshape(-1, 28, 28), expected)


def test_images_of_emnist_are_upright(put):
    """The file holds them transposed."""
    x, _ = load_source("emnist_letters", put("emnist_letters"))
    expected = np.concatenate([images(78, (28, 28), seed=0), images(52, (28, 28), seed=1)])
    assert np.array_equal(x.reshape(-1, 28, 28), expected)


def test_images_of_cifar10(put):
    root = put("cifar10_colour")
    colour, _ = load_source("cifar10_colour", root)
    expected = np.concatenate([images(10, (3, 32, 32), seed=seed) for seed in range(6)])
    assert np.array_equal(colour.reshape(-1, 3, 32, 32), expected)
    grey, _ = sources()["cifar10"].load(root, 0)
    luma = 0.299 * expected[:, 0] + 0.587 * expected[:, 1] + 0.114 * expected[:, 2]
    np.testing.assert_allclose(grey.reshape(-1, 32, 32) / 1000, luma, rtol=1e-13)


def test_cat_and_dog(put):
    root = put("cifar10")
    data = prepare("cifar10", 8, 4, seed=0, root=root, classes=[3, 5])
    assert data.y_train.tolist() == [-1.0, 1.0] * 4  # cat and dog are ranks 0 and 1
    assert data.classes_train.tolist() == [0, 1] * 4
    # From the raw images: the mean is that of cats and dogs alone.
    grey, classes = sources()["cifar10"].load(root, 0)
    pets = grey[np.isin(classes, [3, 5])]
    centred = torch.from_numpy(pets - pets.mean(axis=0))
    best = torch.nn.functional.normalize(data.x_train) @ torch.nn.functional.normalize(centred).T
    torch.testing.assert_close(best.amax(1), torch.ones(8).double())


def test_set_without_files_names_the_command(tmp_path):
    with pytest.raises(DataError, match=rf"fetch cifar10_colour --root {tmp_path}$"):
        prepare("cifar10_colour", 20, 20, seed=0, root=str(tmp_path))


@every_set
def test_truncated_file_is_never_half_used(put, name, tmp_path):
    root = put(name)
    folder, files = CONTENT[name]
    path = tmp_path / folder / list(files)[-1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path.name} is damaged .* moved to {path.name}.corrupt-1"):
        load_source(name, root)
    with pytest.raises(DataError, match=f"which is missing.*feature-lazy data fetch {name}"):
        load_source(name, root)


def test_file_of_another_set_is_refused(put, tmp_path):
    """The four files of MNIST, Fashion-MNIST and KMNIST have the same names."""
    root = put("mnist")
    other = mnist_files([TEST, TRAIN])
    for name, data in other.items():
        (tmp_path / "mnist" / name).write_bytes(data)
    with pytest.raises(DataError, match="damaged or another file"):
        load_source("mnist", root)


def test_counts_of_the_classes_are_checked(put, monkeypatch):
    real = find("dataset", "kmnist").source  # 7000 images in each class
    root = put("kmnist")
    monkeypatch.setattr(find("dataset", "kmnist"), "source", real)
    with pytest.raises(DataError, match=r"not what it should be.*remove its files and fetch them anew"):
        load_source("kmnist", root)


def test_entries_add_up():
    """Sizes of the pooled sets as their authors give them."""
    totals = {name: sum(source.counts) for name, source in sources().items() if source.folder}
    assert totals == {
        "mnist": 70000,
        "fashion_mnist": 70000,
        "kmnist": 70000,
        "emnist_letters": 145600,
        "emnist_balanced": 131600,
        "cifar10": 60000,
        "cifar10_colour": 60000,
    }
    assert {name for name, source in sources().items() if source.folder} == set(CONTENT)
    assert sources()["emnist_letters"].classes == tuple(range(1, 27))

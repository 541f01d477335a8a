"""IDX, EMNIST's zip and CIFAR10's tar, written by the test in the true formats, whole and damaged."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.core.errors import DataError
from feature_lazy.data.formats import (
    IMAGES_MAGIC,
    LABELS_MAGIC,
    gunzip,
    read_cifar,
    read_idx,
    read_idx_pair,
    tar_members,
    zip_members,
)
from feature_lazy.data.public import CIFAR_MEMBERS
from tests.data.conftest import cifar_records, cifar_tar, emnist_zip, idx, images

CLASSES = np.array([3, 1, 2])


def test_idx_images_and_labels():
    x = images(3, (4, 5), seed=0)
    # The header of a real file, byte by byte: magic 2051, then 3, 4, 5.
    assert idx(x)[:16] == bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5])
    assert np.array_equal(read_idx(idx(x), "x", IMAGES_MAGIC), x)
    assert np.array_equal(read_idx(idx(CLASSES), "y", LABELS_MAGIC), CLASSES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x has 0 bytes, fewer than the 16 of an IDX header"),
        (idx(images(3, (4, 5), 0))[:15], "x has 15 bytes, fewer than"),
        (idx(images(3, (4, 5), 0))[:-1], "x has 59 bytes after its header, which promises 3 × 4 × 5"),
        (idx(images(3, (4, 5), 0)) + b"0", "x has 61 bytes after its header, which promises 3 × 4 × 5"),
        (idx(CLASSES) + bytes(16), "x begins with the magic number 2049, expected 2051"),
        (b"<html><body>Not found", "x begins with the magic number 1013478509, expected 2051"),
        # A negative size, and sizes whose product overflows 32 bits.
        (bytes([0, 0, 8, 3, 255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1]), "promises -1 × 1 × 1"),
        (bytes([0, 0, 8, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]), "promises 65536 × 65536 × 65536"),
    ],
)
def test_damaged_idx_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        read_idx(data, "x", IMAGES_MAGIC)


@given(st.binary(max_size=64))
def test_idx_of_any_bytes_is_refused_or_consistent(data):
    try:
        found = read_idx(data, "x", LABELS_MAGIC)
    except DataError:
        return
    assert idx(found) == data


def test_images_without_a_label_are_refused():
    x, y = gzip.compress(idx(images(4, (2, 2), 0))), gzip.compress(idx(CLASSES))
    with pytest.raises(DataError, match="a has 4 images and b has 3 labels"):
        read_idx_pair(x, y, ("a", "b"))


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-9], lambda d: d[:20], lambda d: b"no gzip", lambda d: d[:-8] + bytes(8)]
)
def test_damaged_gzip_is_refused(damage):
    with pytest.raises(DataError, match="labels is not a whole gzip file"):
        gunzip(damage(gzip.compress(bytes(1000))), "labels")


def test_cifar_batch():
    x, y = read_cifar(cifar_records(CLASSES, seed=5), "batch")
    assert np.array_equal(y, CLASSES)
    assert np.array_equal(x, images(3, (3, 32, 32), seed=5))


@pytest.mark.parametrize("data", [b"", cifar_records(CLASSES, 0)[:-1]])
def test_cifar_batch_of_another_size_is_refused(data):
    with pytest.raises(DataError, match="not a whole number of records of 3073 bytes"):
        read_cifar(data, "batch")


def test_cifar_label_is_checked():
    with pytest.raises(DataError, match="batch holds the label 10; CIFAR10 has 0 … 9"):
        read_cifar(cifar_records(np.array([0, 10]), 0), "batch")


def test_members_are_found_by_name_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batches = [CLASSES + i for i in range(6)]
    # A path that would lead out of the folder, were it unpacked.
    found = tar_members(cifar_tar(batches, prefix="../../"), "tar", CIFAR_MEMBERS)
    assert [data[0] for data in found] == [3, 4, 5, 6, 7, 8]
    [labels] = zip_members(
        emnist_zip("letters", [CLASSES, CLASSES]), "zip", ["emnist-letters-test-labels-idx1-ubyte.gz"]
    )
    assert np.array_equal(read_idx(gunzip(labels, "y"), "y", LABELS_MAGIC), CLASSES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("read", "data"),
    [(zip_members, emnist_zip("letters", [CLASSES, CLASSES])), (tar_members, cifar_tar([CLASSES] * 6))],
    ids=["zip", "tar"],
)
def test_damaged_archive_is_refused(read, data):
    kind = read.__name__.removesuffix("_members")
    with pytest.raises(DataError, match="big has no member absent"):
        read(data, "big", ["absent"])
    for damaged in (b"", b"no archive", data[: len(data) // 2]):
        with pytest.raises(DataError, match=f"big is not a whole {kind}"):
            read(damaged, "big", ["absent"])

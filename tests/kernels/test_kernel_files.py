"""Kernels on disk that are damaged or mistaken for another: named, and mended by computing again."""

import json
import logging
import re

import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from feature_lazy.core.errors import StoreError
from feature_lazy.kernels import TiledKernel
from feature_lazy.kernels.disk import files as tile_files
from feature_lazy.kernels.disk.files import MANIFEST
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from tests.kernels.conftest import PARAMS, D, X, assert_whole, small, tiles


def flip(data, k):
    return data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished kernel, and what its files hold."""
    path = tmp_path_factory.mktemp("kernel")
    small(path)
    return path, {file.name: file.read_bytes() for file in path.iterdir()}


NAME = "00000-00001.safetensors"
damages = st.tuples(st.sampled_from(["cut", "flip"]), st.floats(0, 1, exclude_max=True))


def damaged(data, damage):
    kind, where = damage
    k = int(where * len(data))
    return data[:k] if kind == "cut" else flip(data, k)


@given(damages)
@example(("cut", 0.0))
@example(("flip", 0.0))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_tile_is_named_and_computed_anew(finished, caplog, damage):
    path, whole = finished
    (path / NAME).write_bytes(damaged(whole[NAME], damage))
    before = tiles(path)
    kernel = TiledKernel.load(path)
    for read in (kernel.to_dense, lambda: kernel.matmul(X[:8]), lambda: kernel[:4, 4:], lambda: kernel[4:, :4]):
        with pytest.raises(
            StoreError, match=rf"The tile .*{NAME} is damaged: .*\. Damaged tiles are computed anew, and"
        ):
            read()
    kernel[:4, :4]  # the others serve
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        small(path)
    assert [NAME in record.getMessage() for record in caplog.records] == [True]
    assert {name for name, state in tiles(path).items() if state != before[name]} == {NAME}
    assert_whole(path, X[:8])


def meaning(data):
    """What a manifest says, or None: another kind of white space, or E for e, says the same."""
    try:
        return json.loads(data)
    except ValueError:
        return None


@given(damages)
@settings(max_examples=150)
def test_damaged_manifest_is_named(finished, damage):
    path, whole = finished
    broken = damaged(whole[MANIFEST], damage)
    assume(meaning(broken) != meaning(whole[MANIFEST]))
    (path / MANIFEST).write_bytes(broken)
    try:
        for use in (TiledKernel.load, small):
            with pytest.raises(
                StoreError, match=rf"kernel in {path} (is damaged: {MANIFEST} .* Remove this|has schema)"
            ):
                use(path)
    finally:
        (path / MANIFEST).write_bytes(whole[MANIFEST])


@pytest.mark.parametrize(
    "content", ["null", "[]", "3", "{}", '{"schema": 1}', '{"schema": 1, "sha256": ""}', "[" * 10**5]
)
def test_manifest_of_something_else_is_named(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(StoreError, match=r"is damaged: kernel\.json cannot be read"):
        TiledKernel.load(tmp_path)


@pytest.mark.parametrize(
    "change", [{"shape": [2, 8]}, {"shape": [2, 8, -1]}, {"tile": 0}, {"dtype": "object"}, {"x": 1}]
)
def test_manifest_without_sense_is_named(finished, tmp_path, change):
    fields = {**json.loads(finished[1][MANIFEST]), **change}
    del fields["schema"], fields["sha256"]
    text = json.dumps({"schema": 1, **fields, "sha256": tile_files._checksum(fields)})
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(StoreError, match=r"is damaged: kernel\.json cannot be read"):
        TiledKernel.load(tmp_path)


def test_other_schema_and_no_kernel_are_named(finished, tmp_path):
    (tmp_path / MANIFEST).write_bytes(finished[1][MANIFEST].replace(b'"schema": 1', b'"schema": 2'))
    with pytest.raises(StoreError, match="has schema 2, this version reads 1; use its own version"):
        TiledKernel.load(tmp_path)
    with pytest.raises(StoreError, match=r"There is no kernel in .*nowhere"):
        TiledKernel.load(tmp_path / "nowhere")


def test_tiles_of_another_place_or_kernel_are_damaged(tmp_path):
    small(tmp_path / "a")
    small(tmp_path / "b", x1=X[8:16])
    first, last = "00000-00000.safetensors", "00001-00001.safetensors"
    for source in (tmp_path / "b" / first, tmp_path / "a" / last):
        (tmp_path / "a" / first).write_bytes(source.read_bytes())
        with pytest.raises(StoreError, match=f"{first} is damaged: it does not match its checksum"):
            TiledKernel.load(tmp_path / "a").to_dense()
    # The same bytes, read in another way.
    with safe_open(tmp_path / "b" / first, "pt") as file:
        theta, metadata = file.get_tensor("theta"), file.metadata()
    for other in (theta.view(torch.int64), theta.flatten(1)):
        (tmp_path / "b" / first).write_bytes(save({"theta": other}, metadata))
        with pytest.raises(StoreError, match=f"{first} is damaged: it is {re.escape(str(tuple(other.shape)))}"):
            TiledKernel.load(tmp_path / "b").to_dense()
    (tmp_path / "a" / MANIFEST).unlink()
    with pytest.raises(StoreError, match=r"has tiles but no kernel\.json\. Remove this folder, or choose another path"):
        small(tmp_path / "a")


def test_hash_tells_shapes_and_types_apart():
    tensors = [X, X.mT.contiguous().view(X.shape), X.reshape(X.shape[::-1]), X.view(torch.int64), X.clone()]
    hashes = [tile_files.hash_of(tensor) for tensor in tensors]
    assert hashes[0] == hashes[-1] == tile_files.hash_of(X.mT.contiguous().mT)
    assert len(set(hashes)) == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"params": {name: 2 * weight for name, weight in PARAMS.items()}}, "weights"),
        ({"params": {name: weight[:1] for name, weight in PARAMS.items()}}, "weights"),
        ({"x1": X[1:9]}, "patterns x1"),
        ({"x2": X[:8]}, "patterns x2"),
        ({"tile": 5}, "tile"),
        ({"x1": X[:9], "tile": 5}, "patterns x1, other tile"),
        ({"architecture": FullyConnected(D, (5, 4), scaled(Relu()))}, "network, whose first entries differ with"),
    ],
    ids=["weights", "members", "x1", "x2", "tile", "two", "activation"],
)
def test_another_kernel_is_refused(finished, change, named):
    before = tiles(finished[0])
    with pytest.raises(StoreError, match=f"holds another kernel: of other {named}.*Choose another path, or remove"):
        small(finished[0], **change)
    assert tiles(finished[0]) == before


def test_tile_lost_while_reading_is_named(tmp_path):
    kernel = small(tmp_path)
    kernel.to_dense()
    (tmp_path / NAME).unlink()
    with pytest.raises(StoreError, match=f"The tile .*{NAME} is missing. Call kernel_on_disk again"):
        kernel.to_dense()

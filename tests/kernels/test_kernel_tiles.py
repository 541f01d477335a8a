"""Kernels on disk: the numbers of the kernel in memory, whatever the tiles, and no more memory than allowed."""

import math
import os
import subprocess
import sys

import pytest
import torch
from scipy.sparse.linalg import eigsh, svds

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.kernels import TiledKernel, kernel_on_disk, tangent_kernel
from feature_lazy.kernels.layerwise import Linearisation
from feature_lazy.launch.progress_bar import progress_bar
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from tests.conftest import ROOT

MEMBERS, D, P1, P2 = 3, 4, 23, 12
TILES = [1, 5, 12, 23, 100]  # 23 is prime; 5 and 12 divide 10 and 12
NET = FullyConnected(D, (5, 7, 3), scaled(Softplus(5.0)))
PARAMS = {name: torch.stack([NET.init(seed)[name] for seed in range(MEMBERS)]) for name in NET.layout.shapes}
# Sums of at most 100 products of order 10, in another order.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def patterns(n, seed):
    return torch.randn(n, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


X1, X2 = patterns(P1, 1), patterns(P2, 2)
either = pytest.mark.parametrize("x2", [None, X2], ids=["symmetric", "x1 × x2"])


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, **TOLERANCE)


@either
@pytest.mark.parametrize("tile", TILES)
def test_equals_the_kernel_in_memory(tmp_path, tile, x2):
    expected = tangent_kernel(NET, PARAMS, X1, x2)
    kernel = kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path / "a" / "kernel", tile=tile)
    assert (kernel.shape, kernel.dtype) == (expected.shape, torch.float64)
    assert_same(kernel.to_dense(), expected)
    n_rows, n_columns = (math.ceil(n / tile) for n in expected.shape[1:])
    stored = n_rows * (n_rows + 1) // 2 if x2 is None else n_rows * n_columns
    assert len(list(kernel.path.glob("*.safetensors"))) == stored
    assert len(list(kernel.path.iterdir())) == stored + 1


@either
def test_slices_are_those_of_the_dense_kernel(tmp_path, x2):
    kernel = kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path, tile=5)
    dense = kernel.to_dense()
    parts = [slice(None), slice(0, 5), slice(5, 10), slice(3, 11), slice(9, 10), slice(-4, None), slice(7, 7)]
    parts += [slice(8, 2), slice(2, 99)]
    for rows in parts:
        for columns in parts:
            assert torch.equal(kernel[rows, columns], dense[:, rows, columns])
    with pytest.raises(ConfigError, match="a slice with step 2"):
        kernel[::2, :]


@either
def test_products(tmp_path, x2):
    kernel = kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path, tile=5)
    dense, n = kernel.to_dense(), kernel.shape[2]
    v = torch.randn(MEMBERS, n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert_same(kernel.matmul(v), dense @ v)
    assert_same(kernel @ v[0], dense @ v[0])
    assert_same(kernel @ v[0, :, 0], dense @ v[0, :, 0])
    for wrong in (v[0, :-1], v[:2], v[0, :-1, 0], v[None], v.mT, torch.tensor(1.0)):
        with pytest.raises(ConfigError, match="does not fit a kernel of shape"):
            kernel.matmul(wrong)


def test_spectra_from_a_linear_operator(tmp_path):
    square = kernel_on_disk(NET, PARAMS, X1, path=tmp_path / "square", tile=5)
    other = kernel_on_disk(NET, PARAMS, X1, X2, path=tmp_path / "other", tile=5)
    for member in range(MEMBERS):
        largest = eigsh(square.as_linear_operator(member), k=3, return_eigenvectors=False, v0=torch.ones(P1).numpy())
        expected = torch.linalg.eigvalsh(square.to_dense()[member])[-3:]
        assert sorted(largest) == pytest.approx(expected.tolist(), rel=1e-10)
        dense, operator = other.to_dense()[member].numpy(), other.as_linear_operator(member)
        assert operator.T @ X1.numpy() == pytest.approx(dense.T @ X1.numpy(), rel=1e-12)
        assert operator.H @ X1.numpy()[:, 0] == pytest.approx(dense.T @ X1.numpy()[:, 0], rel=1e-12)
        values = svds(operator, k=2, return_singular_vectors=False, v0=torch.ones(P2).numpy())
        assert sorted(values) == pytest.approx(torch.linalg.svdvals(torch.tensor(dense))[:2].flip(0).tolist())
    with pytest.raises(ConfigError, match="there is no member 3"):
        square.as_linear_operator(MEMBERS)


@either
def test_any_network_and_float32(tmp_path, x2):
    weights = {name: weight.float() for name, weight in PARAMS.items()}

    def one(params, x):
        return NET.apply({name: weight[None] for name, weight in params.items()}, x)[0]

    net = Generic.around(one, {name: weight[0] for name, weight in weights.items()}, X1.float())
    across = None if x2 is None else x2.float()
    kernel = kernel_on_disk(net, weights, X1.float(), across, path=tmp_path, tile=5)
    assert kernel.dtype == torch.float32
    torch.testing.assert_close(kernel.to_dense().double(), tangent_kernel(NET, PARAMS, X1, x2), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kernel @ torch.ones(kernel.shape[2]), kernel.to_dense().sum(2))


@either
def test_linearisations_are_kept_as_far_as_memory_goes(tmp_path, monkeypatch, x2):
    """All of them with much memory; with little, each row's serves the row, and columns are done again."""
    calls = []
    around = Linearisation.around
    monkeypatch.setattr(Linearisation, "around", lambda *args: calls.append(len(args[2])) or around(*args))
    rows, columns = math.ceil(P1 / 5), math.ceil((P1 if x2 is None else P2) / 5)
    kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path / "much", tile=5)
    corner = 1 if x2 is None else 2
    assert len(calls) == corner + rows + (0 if x2 is None else columns)
    calls.clear()
    with pytest.raises(ConfigError, match="need a memory_limit of") as error:
        kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path / "little", tile=5, memory_limit=10)
    least = float(str(error.value).split("memory_limit of ")[1].split()[0]) * 1.01
    calls.clear()
    kernel_on_disk(NET, PARAMS, X1, x2, path=tmp_path / "little", tile=5, memory_limit=least)
    tiles = rows * (rows + 1) // 2 if x2 is None else rows * columns
    assert corner + rows + max(rows, columns) < len(calls) <= corner + rows + tiles


def test_progress_counts_tiles(tmp_path, capsys):
    told = []
    kernel_on_disk(NET, PARAMS, X1, path=tmp_path, tile=10, progress=lambda *state: told.append(state))
    assert told == [(done, 6) for done in range(7)]
    with progress_bar("kernel") as progress:
        kernel_on_disk(NET, PARAMS, X1, path=tmp_path, tile=10, progress=progress)
    assert "kernel" in (shown := capsys.readouterr().err)
    assert "6/6" in shown


@either
def test_entries_that_are_not_finite_are_named(tmp_path, x2):
    x1, weights = X1.clone(), {name: weight.clone() for name, weight in PARAMS.items()}
    x1[17, 2] = math.inf
    with pytest.raises(NumericalError, match=r"infinities or NaN in tile \((3, \d|\d, 3)\), patterns"):
        kernel_on_disk(NET, PARAMS, x1, x2, path=tmp_path / "pattern", tile=5)
    weights["W1"][2, 0, 0] = math.nan
    with pytest.raises(
        NumericalError, match=r"infinities or NaN in tile \(0, 0\), patterns 0–3 of the rows with 0–3 of"
    ):
        kernel_on_disk(NET, weights, X1, x2, path=tmp_path / "weights", tile=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x1": X1[None]}, r"shapes \(1, 23, 4\); they must be"),
        ({"x1": X1[:0]}, r"shapes \(0, 4\)"),
        ({"x2": X2[:, :3]}, r"shapes \(23, 4\) and \(12, 3\)"),
        ({"tile": 0}, "tile = 0: a tile has at least one pattern"),
        ({"params": {name: w.bfloat16() for name, w in PARAMS.items()}, "x1": X1.bfloat16()}, "a kernel of bfloat16"),
    ],
    ids=["members", "none", "d", "tile", "dtype"],
)
def test_what_makes_no_kernel_is_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        kernel_on_disk(**{"architecture": NET, "params": PARAMS, "x1": X1, "path": tmp_path, "tile": 5, **change})
    assert list(tmp_path.iterdir()) == []


GROWTH = """
import re, sys
from pathlib import Path
import torch
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.kernels import kernel_on_disk

torch.set_num_threads(1)
net = FullyConnected(20, [400, 400], scaled(Softplus(5.0)))
params = {name: torch.stack([weight] * 2) for name, weight in net.init(0).items()}
x = torch.randn(2500, 20, dtype=torch.float64)
status = lambda name: 1024 * int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
# What PyTorch takes for itself, once; then the peak is set back to what is in use.
kernel_on_disk(net, params, x[:200], path=sys.argv[1] + "/first", tile=100)
Path("/proc/self/clear_refs").write_text("5")
before, peak = status("VmRSS"), lambda: status("VmHWM")
kernel = kernel_on_disk(net, params, x, path=sys.argv[1] + "/large", tile=250, memory_limit=float(sys.argv[2]))
kernel @ x[:, :1]
print(peak() - before)
kernel.to_dense()
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads and resets the peak in /proc")
def test_memory_stays_within_its_limit(tmp_path):
    """By the process's own peak; the kernel itself, twice 50 MB, would show, and does once it is read.

    The peak has what the allocator keeps: 30 to 40 MB in seven processes that did the same. One of three must show that
    less is enough.
    """
    memory_limit = 38.5e6  # tiles of this size would be refused below 38.2e6
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    tiled = dense = float("inf")
    for attempt in range(3):
        command = [sys.executable, "-c", GROWTH, str(tmp_path / str(attempt)), str(memory_limit)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        tiled, dense = map(float, done.stdout.split())
        if tiled < memory_limit:
            break
    assert tiled < memory_limit
    assert dense > 100e6


def test_what_was_computed_can_be_opened(tmp_path):
    kernel_on_disk(NET, PARAMS, X1, path=tmp_path, tile=5)
    assert_same(TiledKernel.load(str(tmp_path)).to_dense(), tangent_kernel(NET, PARAMS, X1))

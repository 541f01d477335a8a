"""Kernels on disk that are killed, shared by processes, or short of disk: whole in the end, and nothing done twice."""

import os
import random
import resource
import signal
import time

import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import write_atomically
from feature_lazy.kernels import TiledKernel
from feature_lazy.kernels.disk import files as tile_files
from feature_lazy.kernels.disk import kernel as on_disk
from feature_lazy.kernels.disk.files import MANIFEST
from tests.kernels.conftest import TILES, X, assert_whole, compute, small, tiles
from tests.processes import PROCESSES, start


def test_killed_at_any_moment_and_resumed(tmp_path):
    generator, kept, kills = random.Random(0), {}, 0
    while len(kept) < TILES:
        process, goal = start(compute, tmp_path), len(kept) + generator.randint(0, 9)
        while len(tiles(tmp_path)) < min(goal, TILES) and process.is_alive():
            time.sleep(0.001)
        time.sleep(generator.uniform(0, 0.01))
        process.kill()
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        kills += process.exitcode != 0
        found = tiles(tmp_path)
        # What was there is neither lost nor computed again.
        assert kept.items() <= found.items()
        kept = found
        if (tmp_path / MANIFEST).exists() and len(kept) < TILES:
            missing = f"is not complete: {TILES - len(kept)} of {TILES} tiles are missing. Call kernel_on_disk again"
            with pytest.raises(StoreError, match=missing):
                TiledKernel.load(tmp_path)
    assert kills > 3
    compute(tmp_path)
    assert tiles(tmp_path) == kept
    assert_whole(tmp_path)


def die_at_sync(path, k):
    """Compute, and be killed when the k-th file, or folder, is about to be synced."""
    calls, sync = iter(range(k)), os.fsync

    def dying(descriptor):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = dying
    small(path)


def test_killed_at_every_sync(tmp_path):
    """A file and its folder for the manifest and three tiles; what dies before its name is left and cleaned away."""
    for k in range(9):
        process = start(die_at_sync, tmp_path / str(k), k)
        process.join()
        assert process.exitcode == (-signal.SIGKILL if k < 8 else 0)
        left = [name for name in os.listdir(tmp_path / str(k)) if name.startswith(".")]
        assert len(left) == (k < 8 and k % 2 == 0)
        before = tiles(tmp_path / str(k))
        small(tmp_path / str(k))
        assert before.items() <= tiles(tmp_path / str(k)).items()
        assert_whole(tmp_path / str(k), X[:8])


def count(path, written):
    """Compute, and add the number of tiles that this process wrote."""
    save = on_disk.save_tile

    def counting(*args):
        time.sleep(0.002)  # as if a tile were work
        save(*args)
        with written.get_lock():
            written.value += 1

    on_disk.save_tile = counting
    compute(path)


def test_processes_share_a_folder(tmp_path):
    written = PROCESSES.Value("i", 0)
    processes = [start(count, tmp_path, written) for _ in range(3)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert_whole(tmp_path)
    # Three times the work without sharing.
    assert TILES <= written.value < 1.5 * TILES


def test_a_live_process_loses_its_temporary_file_to_one_that_starts(tmp_path, monkeypatch):
    replace, lost = os.replace, []

    def robbed(source, target, **folders):
        if target not in lost:
            lost.append(target)
            tile_files.remove_half_tiles(tmp_path)
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", robbed)
    small(tmp_path)
    assert len(lost) == 4
    assert_whole(tmp_path, X[:8])


def test_two_writers_of_one_file_at_once(tmp_path, monkeypatch):
    path, sync = tmp_path / "file", os.fsync

    def meanwhile(descriptor):
        monkeypatch.setattr(os, "fsync", sync)
        write_atomically(path, b"second", below=None)
        assert path.read_bytes() == b"second"
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    write_atomically(path, b"the first", below=None)
    assert path.read_bytes() == b"the first"
    assert os.listdir(tmp_path) == ["file"]


def compute_with_full_disk(path, size):
    """Compute where no file may be larger than this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        compute(path, tile=16)
    except StoreError as error:
        raise SystemExit(
            0 if "cannot be written (File too large). Complete tiles stay valid" in str(error) else 1
        ) from None


@pytest.mark.parametrize("size", [0, 1500, 4000])
def test_full_disk_is_named_and_what_is_there_stays(tmp_path, size):
    """No manifest; small tiles, at the end of rows; …"""
    process = start(compute_with_full_disk, tmp_path, size)
    process.join()
    assert process.exitcode == 0
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    before = tiles(tmp_path)
    compute(tmp_path, tile=16)
    assert before.items() <= tiles(tmp_path).items()
    assert_whole(tmp_path)


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.kernel.kernel\.json cannot be written \(Not a directory\)"):
        small(tmp_path / "file" / "kernel")

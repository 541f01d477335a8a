"""Files in the cache: downloaded from mirrors in turn, compared before every use, moved aside if they are not right."""

import hashlib
import re

import pytest

from feature_lazy.core.errors import DataError
from feature_lazy.data import cache
from feature_lazy.data.cache import CachedFile, cached_files, checksum_of, data_root
from feature_lazy.data.registry import FILES, Mirror, RemoteFile
from tests.data.conftest import remote, web_server

DATA = b"the right content" * 100


@pytest.fixture
def cached(tmp_path):
    def made(*urls):
        return CachedFile("mnist", tmp_path / "mnist" / "file.gz", remote("file.gz", DATA, *urls))

    return made


def put(file, data=DATA):
    file.path.parent.mkdir(exist_ok=True)
    file.path.write_bytes(data)


def test_whole_file_is_read(cached):
    put(cached())
    assert cached().read() == DATA


def test_missing_file_names_the_command(cached, tmp_path):
    with pytest.raises(DataError, match=r"needs .*file\.gz, which is missing.* run: feature-lazy data fetch mnist$"):
        cached().read()
    file = CachedFile("kmnist", tmp_path / "x", remote("x", DATA), root="my data")
    with pytest.raises(DataError, match=r"run: feature-lazy data fetch kmnist --root 'my data'$"):
        file.read()


@pytest.mark.parametrize("found", [b"", DATA[:-1], DATA[:50] + b"?" + DATA[51:], b"<html>"], ids=len)
def test_damaged_file_is_moved_aside_and_named_with_both_checksums(cached, found):
    file = cached()
    put(file, found)
    with pytest.raises(DataError) as refusal:
        file.read()
    message = str(refusal.value)
    for fragment in (
        str(file.path),
        f"expected sha256:{hashlib.sha256(DATA).hexdigest()}",
        f"found sha256:{hashlib.sha256(found).hexdigest()} ({len(found)} bytes)",
        "moved to file.gz.corrupt-1 beside it",
        "feature-lazy data fetch mnist",
    ):
        assert fragment in message
    assert not file.path.exists()
    assert file.path.with_name("file.gz.corrupt-1").read_bytes() == found
    # A second one does not overwrite the first.
    put(file, b"again")
    with pytest.raises(DataError, match="corrupt-2"):
        file.read()


def test_failed_move_is_said(cached, monkeypatch):
    file = cached()
    put(file, b"wrong")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(file.path), "rename", refuse)
    with pytest.raises(DataError, match=r"could not be moved aside \(Permission denied\): remove it"):
        file.read()
    with pytest.raises(DataError, match="could not be moved aside"):
        file.fetch()


def test_folder_in_place_of_a_file_is_refused(cached):
    cached().path.mkdir(parents=True)
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        cached().read()


def test_download_takes_the_first_mirror_that_has_the_file(cached):
    with web_server({"/a": b"wrong", "/b": DATA, "/c": DATA}) as (address, asked):
        file = cached(f"{address}/gone", f"{address}/a", f"{address}/b", f"{address}/c")
        assert file.fetch()
        assert file.read() == DATA
        assert asked == ["/gone", "/a", "/b"]
        # It is here now: nobody is asked again.
        assert not file.fetch()
        assert len(asked) == 3
    assert [path.name for path in file.path.parent.iterdir()] == ["file.gz"]  # no temporary file, and nothing wrong


def test_damaged_file_is_fetched_anew_and_kept_aside(cached):
    with web_server({"/b": DATA}) as (address, _):
        file = cached(f"{address}/b")
        put(file, b"damaged")
        assert file.fetch()
    assert file.read() == DATA
    assert file.path.with_name("file.gz.corrupt-1").read_bytes() == b"damaged"


def test_all_mirrors_fail_and_each_says_why(cached, monkeypatch):
    monkeypatch.setattr(cache, "TIMEOUT", 5.0)
    with web_server({"/wrong": b"wrong", "/cut": DATA}) as (address, _):
        # Port 9 discards, and nobody listens here.
        urls = (f"{address}/gone", f"{address}/wrong", f"{address}/cut", "http://127.0.0.1:9/off")
        file = cached(*urls)
        with pytest.raises(DataError) as refusal:
            file.fetch()
    lines = str(refusal.value).splitlines()
    assert lines[0] == "file.gz of mnist could not be downloaded:"
    assert [line.strip().partition(": ")[0] for line in lines[1:5]] == list(urls)
    assert "404" in lines[1]
    assert (
        f"expected sha256:{hashlib.sha256(DATA).hexdigest()} but got {hashlib.sha256(b'wrong').hexdigest()}" in lines[2]
    )
    assert re.search("IncompleteRead|10 more expected", lines[3])
    assert "refused" in lines[4]
    assert lines[5].startswith(f"Download it by hand, on any machine, put it at {file.path} and run: feature-lazy data")
    assert not list(file.path.parent.iterdir())


def test_mirrors_may_hold_different_editions(tmp_path):
    """EMNIST's older archive has another checksum, by another algorithm, and is as good."""
    old = b"older edition"
    with web_server({"/old": old}) as (address, _):
        mirrors = (
            Mirror(f"{address}/new", "sha256:" + "0" * 64),
            Mirror(f"{address}/old", f"md5:{hashlib.md5(old, usedforsecurity=False).hexdigest()}"),
        )
        file = CachedFile("emnist_letters", tmp_path / "a.zip", RemoteFile("a.zip", mirrors))
        assert file.fetch()
    assert file.read() == old


def test_progress_is_told(cached):
    class Bar:
        def __init__(self):
            self.total, self.done = 0, []

        def update(self, n):
            self.done.append(n)

        def reset(self):
            self.done.clear()

        def close(self):
            pass

    bar = Bar()
    with web_server({"/b": DATA}) as (address, _):
        cached(f"{address}/b").fetch(bar)
    assert bar.total == sum(bar.done) == len(DATA)


def test_checksum_by_its_algorithm():
    md5, sha = hashlib.md5(DATA, usedforsecurity=False).hexdigest(), hashlib.sha256(DATA).hexdigest()
    assert checksum_of(DATA, ("sha256:0", f"md5:{md5}", f"sha256:{sha}")) == f"md5:{md5}"
    assert checksum_of(DATA, (f"sha256:{md5}",)) is None


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(cache.ENVIRONMENT, raising=False)
    default = data_root()
    assert default.name == "feature_lazy"
    assert tmp_path in default.parents
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "env"))
    assert data_root() == tmp_path / "env"
    assert data_root("~/mine") == tmp_path / "mine"


def test_presence(tmp_path):
    files = cached_files("cifar10_colour", "cifar10", str(tmp_path))
    assert not files[0].here
    put(files[0], b"anything")
    assert files[0].here


def test_registry_is_well_formed():
    """Every checksum has the length of its algorithm, and every address ends in a file of its own."""
    mirrors = [mirror for files in FILES.values() for file in files for mirror in file.mirrors]
    assert len({mirror.url for mirror in mirrors}) == len(mirrors)
    for mirror in mirrors:
        assert re.fullmatch("sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", mirror.checksum)
        assert re.fullmatch(r"https?://[\w.-]+/\S*\.(gz|zip)", mirror.url)

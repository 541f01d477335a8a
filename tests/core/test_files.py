"""Writers into folders that may be a stranger's: no link is followed, whatever its name, and no other file is."""

import errno
import os
import re
from contextlib import suppress

import pytest

from feature_lazy.core import files
from feature_lazy.core.files import LARGEST, NotAFileError, exists, read_head, read_regular, read_stored, read_tail

WRITERS = {
    "write_atomically": lambda path, below: files.write_atomically(path, b"new", below=below),
    "create_exclusively": lambda path, below: files.create_exclusively(path, b"new", below=below),
    "appending": lambda path, below: append(path, below),
    "set_time": lambda path, below: files.set_time(path, below=below),
    "write_folder": lambda path, below: files.write_folder(path, {"a/b": b"new"}, below=below),
    "make_folder": lambda path, below: files.make_folder(path, below=below),
    "remove": lambda path, below: files.remove(path, below=below),
    "remove_folder": lambda path, below: files.remove_folder(path, below=below),
    "probe": lambda path, below: files.probe(path, below=below),
}
every_writer = pytest.mark.parametrize("name", WRITERS)


def append(path, below):
    with files.appending(path, below=below) as file:
        file.write(b"new")


def content(folder):
    """All that is in a folder: files with their content and time, folders, links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[path] = os.readlink(path)
        else:
            found[path] = (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else path.stat().st_mtime_ns
    return found


@pytest.fixture
def victim(tmp_path):
    folder = tmp_path / "victim"
    (folder / "inner" / "deep").mkdir(parents=True)
    for path in (folder / "file", folder / "inner" / "file", folder / "inner" / "deep" / "file"):
        path.write_bytes(b"precious")
    return folder


@every_writer
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_that_is_a_link_is_refused(tmp_path, victim, name, depth):
    """At whatever depth below the folder that a person named."""
    root, before = tmp_path / "results", content(victim)
    above = root.joinpath(*"ab"[:depth])
    above.mkdir(parents=True)
    (above / "inner").symlink_to(victim / "inner")
    with pytest.raises(OSError, match="a link, which is not followed") as caught:
        WRITERS[name](above / "inner" / "deep" / "file", root)
    assert caught.value.errno == errno.ELOOP
    assert content(victim) == before


@every_writer
@pytest.mark.parametrize("target", ["file", "inner", "nothing"])
def test_a_link_in_place_of_what_is_written_leads_nowhere(tmp_path, victim, name, target):
    """It is refused, replaced or removed; a link to nothing would make a file there."""
    root, before = tmp_path / "results", content(victim)
    root.mkdir()
    (root / "name").symlink_to(victim / target)
    with suppress(OSError):
        WRITERS[name](root / "name", root)
    assert content(victim) == before


@every_writer
@pytest.mark.parametrize("target", ["pipe", "folder"])
def test_something_else_in_its_place_hangs_nobody(tmp_path, name, target):
    root = tmp_path / "results"
    root.mkdir()
    os.mkfifo(root / "name") if target == "pipe" else (root / "name" / "inner").mkdir(parents=True)
    with suppress(OSError):
        WRITERS[name](root / "name", root)


@every_writer
def test_the_results_folder_itself_may_be_a_link(tmp_path, name):
    """People keep results on another disk."""
    (tmp_path / "disk" / "a").mkdir(parents=True)
    (tmp_path / "disk" / "a" / "name").mkdir() if name == "remove_folder" else None
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    WRITERS[name](tmp_path / "results" / "a" / "name", tmp_path / "results")


@every_writer
def test_no_name_leads_out_of_the_folder(tmp_path, victim, name):
    before = content(victim)
    (tmp_path / "results").mkdir()
    with pytest.raises((OSError, ValueError), match=r"leads out|subpath"):
        WRITERS[name](tmp_path / "results" / ".." / "victim" / "file", tmp_path / "results")
    assert content(victim) == before


def test_temporary_names_cannot_be_guessed(tmp_path, monkeypatch):
    """A link of a temporary file's name, planted before, would be written through."""
    names, real = [], os.open

    def watched(path, flags, *arguments, **folder):
        if flags & os.O_CREAT and not flags & os.O_APPEND:
            assert flags & os.O_EXCL
            assert flags & os.O_NOFOLLOW
            names.append(path)
        return real(path, flags, *arguments, **folder)

    monkeypatch.setattr(os, "open", watched)
    for _ in range(2):
        for name in ("write_atomically", "create_exclusively", "write_folder", "probe"):
            WRITERS[name](tmp_path / "results" / name, tmp_path)
    random = [re.search(r"\.[0-9a-f]{32}$", name) for name in names if name != "b"]
    assert len({match[0] for match in random}) == len(random) == 6


def test_history_of_a_backup_is_not_written_through_its_other_name(tmp_path):
    """A hard link is a second name of one file; what is written anew has one of its own."""
    (tmp_path / "backup").write_bytes(b"precious")
    os.link(tmp_path / "backup", tmp_path / "name")
    files.write_atomically(tmp_path / "name", b"new", below=tmp_path)
    assert (tmp_path / "backup").read_bytes() == b"precious"


def test_huge_files_are_not_read(tmp_path):
    """A terabyte of nothing takes no room, but would take all memory."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.write(b"first")
        file.truncate(2**40)
    with pytest.raises(OSError, match="it has 1099511627776 bytes, which no such file has"):
        read_regular(path)
    assert read_head(path).startswith(b"first")
    assert len(read_head(path)) == len(read_tail(path)) < LARGEST / 1000


def test_what_is_no_file_is_told_from_what_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(NotAFileError):
            read_stored(tmp_path / name)
    for path in (tmp_path / "none", tmp_path / "folder" / "none" / "x"):
        with pytest.raises(FileNotFoundError):
            read_stored(path)
        assert not exists(path)

    def flaky(*arguments, **options):
        raise OSError(errno.ESTALE, "Stale file handle")

    for call, name in ((read_stored, "open"), (exists, "lstat")):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, flaky)
            with pytest.raises(OSError, match="Stale"):
                call(tmp_path / "file")

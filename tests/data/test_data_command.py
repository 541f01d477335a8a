"""``feature-lazy data``: what is here, bringing it here, checking it; the exit status says whether it went well."""

import pytest

from feature_lazy.data import cache
from feature_lazy.data.sources import sources
from feature_lazy.launch.commands import data as command
from feature_lazy.launch.commands import main
from tests.data.conftest import mnist_files, remote, web_server
from tests.data.test_public_sets import TEST, TRAIN

FILES = mnist_files([TRAIN, TEST])


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A registry of small files of MNIST and KMNIST on a server of this machine; the latter's last file is missing."""
    content = {f"/{name}/{file}": data for name in ("mnist", "kmnist") for file, data in FILES.items()}
    del content["/kmnist/t10k-labels-idx1-ubyte.gz"]
    with web_server(content) as (address, asked):
        files = {
            name: tuple(remote(file, data, f"{address}/{name}/{file}") for file, data in FILES.items())
            for name in ("mnist", "kmnist")
        }
        monkeypatch.setattr(cache, "FILES", {**cache.FILES, **files})
        monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache"))
        yield asked


def test_fetch_then_verify(mirror, capsys, tmp_path):
    assert main(["data", "fetch", "mnist"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(": downloaded") == 4
    assert sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir()) == sorted(FILES)
    assert main(["data", "verify"]) == 0
    assert capsys.readouterr().out.count(": whole") == 4
    # A second time nothing is asked for.
    assert main(["data", "fetch", "mnist"]) == 0
    assert capsys.readouterr().out.count(": was here") == 4
    assert len(mirror) == 4


def test_fetch_goes_on_after_a_failure_and_fails(mirror, capsys, tmp_path):
    assert main(["data", "fetch", "kmnist", "mnist", "--root", str(tmp_path / "mine")]) == 1
    captured = capsys.readouterr()
    assert captured.out.count(": downloaded") == 7
    assert "t10k-labels-idx1-ubyte.gz of kmnist could not be downloaded" in captured.err
    assert "/kmnist/t10k-labels-idx1-ubyte.gz: 404" in captured.err
    assert f"feature-lazy data verify kmnist --root {tmp_path / 'mine'}" in captured.err
    assert len(list((tmp_path / "mine").glob("*/*"))) == 7


def test_verify_names_what_is_damaged_or_missing(mirror, capsys, tmp_path):
    main(["data", "fetch", "mnist"])
    (tmp_path / "cache" / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["data", "verify"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count(": whole") == 3
    assert "train-labels-idx1-ubyte.gz is damaged" in captured.err
    # What was moved aside is missing, and a set that is named must be there.
    assert main(["data", "verify"]) == 0
    assert main(["data", "verify", "mnist"]) == 1
    assert "which is missing" in capsys.readouterr().err


def test_verify_without_files(mirror, capsys, tmp_path):
    assert main(["data", "verify"]) == 0
    assert capsys.readouterr().out == f"No files in {tmp_path / 'cache'}.\n"


def test_list(mirror, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    main(["data", "fetch", "mnist"])
    capsys.readouterr()
    assert main(["data", "list"]) == 0
    rows = [
        [cell.strip() for cell in line.split("│")[1:6]] for line in capsys.readouterr().out.splitlines() if "│" in line
    ]
    table = {row[0]: row[1:] for row in rows}
    assert set(sources()) <= set(table)
    assert table["mnist"] == ["70000", "10", "784", "yes"]
    assert table["kmnist"] == ["70000", "10", "784", "no"]
    assert table["cifar10_colour"] == ["60000", "10", "3072", "no"]
    assert table["digits"] == ["1797", "10", "64", "yes"]


def test_archive_that_sets_share_is_one_file():
    files = command._files(["cifar10", "cifar10_colour", "emnist_letters", "emnist_balanced"], None)
    assert [file.path.name for file in files] == ["cifar-10-binary.tar.gz", "emnist-gzip.zip"]


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "digits"], ["verify", "imagenet"], []])
def test_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["data", *arguments])
    assert stop.value.code == 2
    assert "usage: feature-lazy data" in capsys.readouterr().err

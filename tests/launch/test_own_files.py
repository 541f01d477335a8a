"""What is computed beside runs whose data are files of somebody's own: only from the place that is named by hand."""

import json
import os

import numpy as np
import pytest

from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.infinite_width import FILE
from tests.conftest import QUICK, composed

JOB = (
    "dataset=file", "dataset.n_train=12", "dataset.n_test=20", "width.h=8", "architecture.depth=1", "activation=erf",
    "loss=mse", "centred=false", "dynamics.t_end=1", "observe.kernel.probe=0", "observe.weights=ends",
)  # fmt: skip
SMALL = "--memory=2", "--generated=3", "--components=1", "--dimensions=2", "--draws=1"
LOST = "results do not carry the files of their data; name the place by --data PATH"


def write(path, seed=0):
    x = np.random.default_rng(seed).standard_normal((40, 3))
    np.savez(path, x=x, y=(x[:, 0] > 0).astype(int))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    write(folder / "mine.npz")
    run(build(composed(*JOB, *QUICK, f"dataset.path={folder / 'mine.npz'}", f"output_dir={folder / 'r'}")))
    return folder


@pytest.fixture
def moved(trained, tmp_path, monkeypatch):
    """The results, with the file at another place than when they were trained, and an empty folder to write to."""
    monkeypatch.chdir(tmp_path)
    for name in ("infinite_width.json", "baselines.json"):
        (trained / "r" / name).unlink(missing_ok=True)
    (trained / "mine.npz").rename(tmp_path / "here.npz")
    yield trained / "r"
    (tmp_path / "here.npz").rename(trained / "mine.npz")


def words(command, folder):
    [one] = load_sweep(folder).runs
    return {
        "baselines": ["baselines", str(folder)],
        "figures": ["figures", str(folder), "--output", "drawn", "--formats", "csv"],
        "learning-curve": ["learning-curve", str(folder), "--kernel", "infinite_ntk", "--n", "2", "--draws", "2"],
        "landscape": ["landscape", str(one.path), "--points", "3"],
        "tasks": ["tasks", str(folder)],
        "continual": ["continual", str(folder), *SMALL],
    }[command]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("baselines", "krr"),
        ("figures", "test_error"),
        ("learning-curve", "infinite_ntk"),
        ("landscape", "curvature along axis 1"),
        ("tasks", "its head W1 was trained"),  # the next thing that it asks for
        ("continual", "generated"),
    ],
)
def test_data_are_read_where_one_says(moved, command, found, capsys, caplog):
    asked = words(command, moved)

    def said(*more):
        caplog.clear()
        main([*asked, *more])
        out = capsys.readouterr()
        return " ".join((out.out + out.err + caplog.text).split())

    assert LOST in said()
    write("other.npz", seed=1)
    assert "has changed since, its SHA-256 is" in said("--data", "other.npz")
    with_it = said("--data", "here.npz")
    assert found in with_it
    assert LOST not in with_it
    if command == "figures":
        assert json.loads((moved / FILE).read_text())


def test_no_file_is_opened_because_a_run_names_it(moved, monkeypatch, capsys):
    """The file lies where the manifest says, and is left alone: results may be a stranger's."""
    os.link("here.npz", moved.parent / "mine.npz")
    monkeypatch.setattr("feature_lazy.data.readers.read", None)
    for command in ("baselines", "figures", "learning-curve", "landscape", "tasks", "continual"):
        main(words(command, moved))
        capsys.readouterr()
    (moved.parent / "mine.npz").unlink()

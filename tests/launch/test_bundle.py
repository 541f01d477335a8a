"""Bundles: what is in them, what is refused of a stranger's, and whether a repeated run is called what it is."""

import io
import json
import stat
import tomllib
import zipfile

import numpy as np
import pytest
import yaml

from feature_lazy.core.errors import StoreError
from feature_lazy.launch import archive
from feature_lazy.launch.commands import main
from feature_lazy.runs.alike import BITS, DIFFERENT, ROUNDING, alike
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.store import Store
from feature_lazy.runs.train import run as train
from feature_lazy.settings.shortest import commands
from tests.conftest import QUICK, ROOT, TINY, composed
from tests.runs.conftest import HISTORY_ROWS, save

NET = """
import torch
import mybits_beside


def pair(d, width):
    def init(seed):
        torch.manual_seed(seed)
        return {"a": torch.randn(width, d).double(), "b": torch.randn(width).double()}

    return init, lambda weights, x: mybits_beside.act(x @ weights["a"].mT) @ weights["b"]
"""


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A bundle of two runs of a network and a file of somebody's own, whose folder is gone."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "mybits.py").write_text(NET)
    (home / "mybits_beside.py").write_text("def act(x):\n    return x.tanh()\n")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    np.savez(home / "mine.npz", x=x, y=(x[:, 0] > 0).astype(int))
    monkeypatch.syspath_prepend(home)
    network = ("architecture=custom", "architecture.target=mybits.pair", "architecture.kwargs={d: 3, width: 8}")
    data = ("dataset=file", f"dataset.path={home / 'mine.npz'}", "dataset.n_train=12", "dataset.n_test=12")
    more = ("width.h=8", "seed=ensemble", "seed.members=2", "observe.kernel.probe=6", "observe.per_decade=2")
    config = composed(*network, *data, *more, *QUICK, f"output_dir={tmp_path / 'results'}", "threads=1")
    write_plan(tmp_path / "results", [config])
    train(build(config))
    assert main(["bundle", str(tmp_path / "results")]) == 0
    return tmp_path / "results.bundle.zip"


def test_a_colleague_repeats_it(whole, tmp_path, monkeypatch, capsys):
    said, contents = archive.unpack(whole)
    assert [name for name in contents if not name.startswith("results/")] == [
        "sources/mybits.py", "sources/mybits_beside.py", "data/0/mine.npz",
    ]  # fmt: skip
    assert "architecture.kwargs={d: 3, width: 8}" in said["commands"][0]
    assert "dataset.n_valid" not in said["commands"][0]
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path != str(tmp_path / "home")])
    assert main(["repeat", str(whole)]) == 1
    assert "Nothing was run" in capsys.readouterr().err
    assert not whole.with_suffix("").exists()
    assert main(["repeat", str(whole), "--yes", "--n-jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "code that is not of this package: mybits.pair" in out
    assert "2 equal bit for bit" in out
    (whole.with_suffix("") / "bundle" / "sources" / "torch.py").write_text("planted")
    assert main(["repeat", str(whole), "--yes"]) == 1
    assert "holds something else than this bundle" in capsys.readouterr().err


def test_runs_are_like_others_bit_for_bit_to_rounding_or_not(tmp_path):
    def stored(name, factor):
        rows = [{**row, "train/loss": factor * (1 + row["t"])} for row in HISTORY_ROWS]
        return load_run(save(Store(tmp_path / name), rows=rows))

    before = stored("a", 1.0)
    assert alike(before, stored("b", 1.0)).verdict == BITS
    near = alike(before, stored("c", 1 + 1e-12))
    assert (near.verdict, near.size) == (ROUNDING, pytest.approx(1e-12, rel=0.01))
    far = alike(before, stored("d", 1.001))
    assert (far.verdict, far.size) == (DIFFERENT, pytest.approx(1e-3, rel=1e-6))
    assert "of its size" in str(far)


def zipped(path, *entries):
    with zipfile.ZipFile(path, "w") as made:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("../out", 0, "is no name of a file of a bundle"),
        ("data/../../out", 0, "is no name of a file of a bundle"),
        ("/etc/out", 0, "is no name of a file of a bundle"),
        ("data\\out", 0, "is no name of a file of a bundle"),
        ("elsewhere/out", 0, "is no name of a file of a bundle"),
        ("data/o\x1but", 0, "o�ut is no name of a file of a bundle"),
        ("data/link", stat.S_IFLNK | 0o777, "is no plain file"),
        ("data/pipe", stat.S_IFIFO | 0o777, "is no plain file"),
        ("data/folder/", 0, "is no plain file"),
    ],
)
def test_what_leads_elsewhere_is_refused(tmp_path, name, mode, message):
    path = zipped(tmp_path / "x.zip", (name, b"/etc/passwd", mode))
    with pytest.raises(StoreError, match=message):
        archive.unpack(path)
    assert [one.name for one in tmp_path.iterdir()] == ["x.zip"]


def test_a_bundle_is_what_it_says(whole, tmp_path, monkeypatch):
    said, contents = archive.unpack(whole)
    for change, message in [
        ({"files": {**said["files"], "data/0/more": "0"}}, "more is not what bundle.json says"),
        ({"schema": 2}, "has schema 2"),
        ({"jobs": [{"config": {}, "runs": ["../../x"]}]}, "is no bundle: bundle.json, .*a run's id"),
        ({"data": [{"path": "a", "name": "../../x", "sha256": ""}]}, "are not in it"),
        ({"commands": [3]}, "is no bundle"),
    ]:
        entries = [(name, data, 0) for name, data in contents.items()]
        text = json.dumps({**said, **change})
        with pytest.raises(StoreError, match=message):
            archive.unpack(zipped(tmp_path / "x.zip", ("bundle.json", text, 0), *entries))
    for data in (b"", b"PK", whole.read_bytes()[:-60], whole.read_bytes()[:300] + b"x" + whole.read_bytes()[301:]):
        (tmp_path / "y.zip").write_bytes(data)
        with pytest.raises(StoreError, match=r"is no bundle|is damaged"):
            archive.unpack(tmp_path / "y.zip")
    (tmp_path / "z.zip").symlink_to(whole)
    with pytest.raises(StoreError, match="a link, which is not followed"):
        archive.unpack(tmp_path / "z.zip")
    monkeypatch.setattr(archive, "LARGEST", 1000)
    with pytest.raises(StoreError, match="more than a bundle may"):
        archive.unpack(whole)


def test_one_file_is_one_bundle(whole, tmp_path):
    """Equal contents are equal files, so that a bundle is known by its checksum."""
    first = whole.read_bytes()
    assert main(["bundle", str(tmp_path / "results"), "--out", str(tmp_path / "again.zip")]) == 0
    assert (tmp_path / "again.zip").read_bytes() == first
    assert io.BytesIO(first).read(2) == b"PK"


def test_sources_that_have_changed_and_data_that_have_are_said(whole, tmp_path, capsys):
    (tmp_path / "home" / "mybits_beside.py").write_text("def act(x):\n    return x.relu()\n")
    assert main(["bundle", str(tmp_path / "results")]) == 1
    said = capsys.readouterr()
    assert "trained with another source than that of now" in said.err
    assert "feature-lazy repeat" not in said.out
    np.savez(tmp_path / "home" / "mine.npz", x=np.zeros((40, 3)), y=np.zeros(40))
    assert main(["bundle", str(tmp_path / "results")]) == 1
    assert "has changed since the runs were trained" in capsys.readouterr().err
    assert main(["bundle", str(tmp_path / "results"), "--where", "seed=7"]) == 1
    assert "--where seed=7: no run has it; there are seed = " in capsys.readouterr().err


def test_jobs_that_are_all_combinations_are_one_command():
    from dataclasses import asdict

    jobs = [
        asdict(composed(*TINY, f"alpha.value={alpha}", f"seed.value={seed}")) for alpha in (1, 10) for seed in (0, 1)
    ]
    [line] = commands(jobs)
    assert line.startswith("python train.py -m dataset.n_train=20")
    assert "alpha.value=1.0,10.0" in line
    assert "seed.value=0,1" in line
    assert len(commands(jobs[:3])) == 3
    assert commands(jobs[:1])[0].startswith("python train.py dataset.n_train=20")


def test_the_citation_agrees_with_the_package():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (cited["title"], cited["version"]) == (project["name"], project["version"])
    assert cited["abstract"].strip() == project["description"]
    assert {"cff-version", "message", "authors", "title"} <= set(cited)
    assert cited["license"] in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert cited["references"][0]["authors"][0]["family-names"] == "Geiger"

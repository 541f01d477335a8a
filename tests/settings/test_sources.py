"""Where a user's code lies, and a hash of it, without running any of it."""

import sys

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.own import CustomData
from feature_lazy.launch.commands import main
from feature_lazy.networks.module import CustomArchitecture
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import write_plan
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.config import Config
from feature_lazy.settings.sources import module_of, source_hash
from tests.conftest import QUICK

FILES = {
    "pack/__init__.py": "",
    "pack/net.py": "raise ValueError\nfrom . import parts\nfrom .deep.more import thing\nclass Net: ...\n",
    "pack/parts.py": "import json\n",
    "pack/deep/__init__.py": "",
    "pack/deep/more.py": "def late():\n    import pack.lazy\nthing = 1\n",
    "pack/lazy.py": "x = 1\n",
    "pack/unused.py": "x = 1\n",
    "alone.py": "import beside, numpy, feature_lazy.core.streams\nNet = lambda: 0\n",
    "beside.py": "x = 1\n",
    "apart.py": "x = 1\n",
    "venv/lib/site-packages/installed.py": "import neighbour\ndef make(): ...\n",
    "venv/lib/site-packages/neighbour.py": "x = 1\n",
    "broken.py": "def Net(:\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for path in (tmp_path, tmp_path / "venv/lib/site-packages"):
        monkeypatch.syspath_prepend(str(path))
    return tmp_path


COUNTED = {
    "pack.net.Net": {
        "pack/__init__.py",
        "pack/net.py",
        "pack/parts.py",
        "pack/deep/__init__.py",
        "pack/deep/more.py",
        "pack/lazy.py",
    },
    "alone.Net": {"alone.py", "beside.py"},
    "installed.make": {"venv/lib/site-packages/installed.py"},
}


@pytest.mark.parametrize("target", COUNTED)
def test_what_counts(folder, target):
    before = source_hash(target)
    changed = set()
    for name, text in FILES.items():
        if name == "broken.py":
            continue
        (folder / name).write_text(text + "# changed\n")
        if source_hash(target) != before:
            changed.add(name)
        (folder / name).write_text(text)
    assert changed == COUNTED[target]
    assert source_hash(target) == before


def test_an_environment_beside_a_module_does_not_count(folder):
    """The folder of a module may hold a whole environment."""
    (folder / "alone.py").write_text("import installed\nNet = 1\n")
    before = source_hash("alone.Net")
    (folder / "venv/lib/site-packages/installed.py").write_text("x = 2\n")
    assert source_hash("alone.Net") == before


def test_nothing_is_imported(folder):
    source_hash("pack.net.Net")
    assert not [name for name in sys.modules if name.split(".")[0] in ("pack", "alone")]


def test_where_the_files_are_does_not_count(folder, tmp_path, monkeypatch):
    before = source_hash("pack.net.Net")
    (folder / "pack").rename(folder / "elsewhere_pack")
    (folder / "other").mkdir()
    (folder / "elsewhere_pack").rename(folder / "other" / "pack")
    monkeypatch.syspath_prepend(str(folder / "other"))
    assert source_hash("pack.net.Net") == before


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere.Net", "no module 'nowhere' on Python's path"),
        ("pack.net", "'pack.net' is a module; name what it holds"),
        ("pack.net.Other", r"module 'pack.net' \(net.py\) has no 'Other'"),
        ("pack.missing.Net", r"module 'pack' \(__init__.py\) has no 'missing'"),
        ("math.sin", "module 'math' has no source"),
        ("sys.exit", "module 'sys' has no source"),
        ("broken.Net", "broken.py, line 1"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_targets_that_are_not_there_are_refused(target, message):
    with pytest.raises(ConfigError, match=message):
        module_of(target)


def test_the_run_id_follows_the_source(folder):
    def ids():
        network = Config(architecture=CustomArchitecture(target="pack.net.Net"))
        data = Config(dataset=CustomData(target="alone.Net"))
        return [cells(config)[0].run_id for config in (Config(), network, data)]

    before = ids()
    assert len(set(before)) == 3
    (folder / "pack/lazy.py").write_text("x = 2\n")
    after = ids()
    assert [new == old for new, old in zip(after, before, strict=True)] == [True, False, True]
    (folder / "beside.py").write_text("x = 2\n")
    assert [new == old for new, old in zip(ids(), after, strict=True)] == [True, True, False]


NET = """
from torch import nn


def net(d, width):
    return nn.Sequential(nn.Flatten(), nn.Linear(d, width), nn.Tanh(), nn.Linear(width, 1))
"""


def test_status_says_that_the_source_has_changed(configure, folder, capsys):
    (folder / "of_status.py").write_text(NET)
    results = folder / "results"
    custom = ("architecture=custom", "architecture.target=of_status.net", "architecture.kwargs={d: 64, width: 4}")
    data = ("dataset.n_train=10", "dataset.n_test=10", "observe.kernel.probe=0", f"output_dir={results}")
    config = configure(*custom, *data, *QUICK)
    [before] = cells(config)
    assert before.identity["code"] == [source_hash("of_status.net")]
    assert "code" not in cells(Config())[0].identity
    run(build(config))
    (folder / "of_status.py").write_text(NET.replace("Tanh", "Softplus"))
    [after] = cells(config)
    assert after.identity["key"] == before.identity["key"]
    write_plan(results, [config])
    assert main(["status", str(results)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 done" in printed
    assert "1 queued: new: the source of its custom target has changed" in printed

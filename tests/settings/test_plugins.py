"""Plug-ins: the version of the bases that they are written for, and nodes that lack them."""

import json
import shutil
import sys

import pytest

from feature_lazy.core import revision
from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.slurm.snapshot import freeze
from feature_lazy.launch.slurm.task import Task
from feature_lazy.settings.plugins import SURFACE, lacking, load_plugins, packages


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A call that installs a package of one module, with entry points, as pip would."""
    site = tmp_path / "site-packages"

    def install(name, *, version="1.0", entries=""):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text("class Thing: ...\n")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text(f"{name}\n")
        (info / "entry_points.txt").write_text(entries)
        sys.path_importer_cache.pop(str(site), None)
        return info

    monkeypatch.syspath_prepend(site)
    yield install
    for name in ("windy", "calm"):
        sys.modules.pop(name, None)


def test_a_plug_in_for_another_version_of_the_bases_is_named_and_not_imported(installed):
    installed("calm", entries=f"[some.options]\ncalm = calm\n[some.options.{SURFACE}]\nagain = calm\n")
    installed("windy", entries=f"[some.options.{SURFACE + 1}]\nwindy = windy\n[some.optionsX]\nother = nowhere\n")
    failed = load_plugins("some.options")
    assert failed == {
        "windy (windy)": f"it is written for version {SURFACE + 1} of the bases, and this feature_lazy has {SURFACE}"
    }
    assert "calm" in sys.modules
    assert "windy" not in sys.modules


def test_frozen_source_notes_the_packages_that_its_jobs_need(installed, tmp_path):
    installed("windy", version="1.2")
    (tmp_path / "loose").mkdir()
    folder = freeze(tmp_path, ["windy.Thing", "tests.settings.outside"])
    assert json.loads((folder / revision.FROZEN).read_text())["packages"] == {"windy": "1.2"}
    assert not (folder / "windy.py").exists()
    assert (folder / "tests" / "settings" / "outside.py").is_file()
    assert packages(["json.loads", "tests.settings.outside"]) == {}


def test_a_node_that_lacks_a_plug_in_says_so(installed, tmp_path, monkeypatch):
    wanted = {"windy": "1.2"}
    info = installed("windy", version="1.2")
    assert lacking(wanted) == []
    monkeypatch.setattr(revision, "HOME", tmp_path)
    (tmp_path / revision.FROZEN).write_text(json.dumps({"git": {}, "packages": wanted}))
    task = Task([], [], 1, 60, 2, 2, str(tmp_path / "progress.json"), source=str(tmp_path))
    task._check_source()
    shutil.rmtree(info)
    with pytest.raises(ConfigError, match=r"This node lacks plug-ins .*: windy 1\.2 is not installed\. Install"):
        task._check_source()
    installed("windy", version="1.3")
    with pytest.raises(ConfigError, match=r"windy is 1\.3 and not 1\.2"):
        task._check_source()


def test_a_copy_frozen_before_packages_were_noted_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(revision, "HOME", tmp_path)
    (tmp_path / revision.FROZEN).write_text(json.dumps({"git": {}}))
    Task([], [], 1, 60, 2, 2, str(tmp_path / "progress.json"), source=str(tmp_path))._check_source()

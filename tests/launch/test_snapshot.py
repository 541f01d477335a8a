"""The frozen source of SLURM's jobs: what git tracks and the package needs, and nobody else's files."""

import subprocess

import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.slurm import snapshot
from feature_lazy.launch.slurm.snapshot import freeze

FILES = (
    *("feature_lazy/__init__.py", "feature_lazy/page.html", "conf/train.yaml", "train.py", "slurm/env.sh"),
    *("feature_lazy/.env", "conf/.netrc", "analysis/x.py"),
)
UNTRACKED = (
    "feature_lazy/new.py",
    "feature_lazy/id_rsa",
    "feature_lazy/.env.local",
    "conf/secrets.yaml",
    "analysis/notes.py",
)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    home = tmp_path / "checkout"
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(home)]
    for words in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    for name in UNTRACKED:
        (home / name).write_text(name)
    (home / "feature_lazy" / "nested" / ".git").mkdir(parents=True)
    (home / "feature_lazy" / "nested" / ".git" / "config").write_text("password")
    monkeypatch.setattr(snapshot, "HOME", home)
    return home


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_copies_what_git_tracks_and_new_modules_of_the_package(checkout, tmp_path):
    found = names(freeze(tmp_path / "results", [])) - {"SNAPSHOT.json", "changes.diff"}
    hidden = {"feature_lazy/.env", "conf/.netrc"}
    assert found == set(FILES) - hidden | {"feature_lazy/new.py"}


def test_a_copy_that_is_not_what_its_name_says_is_refused(checkout, tmp_path):
    """Whoever made the results folder can compute the name of what is frozen."""
    folder = freeze(tmp_path / "results", [])
    assert freeze(tmp_path / "results", []) == folder
    (folder / "sitecustomize.py").write_text("import os")
    with pytest.raises(StoreError, match="is not the source that its name says, and jobs would run it"):
        freeze(tmp_path / "results", [])
    (folder / "sitecustomize.py").unlink()
    (folder / "train.py").write_text("other")
    with pytest.raises(StoreError, match="is not the source"):
        freeze(tmp_path / "results", [])


def test_a_copy_that_is_a_link_is_refused(checkout, tmp_path):
    folder = freeze(tmp_path / "results", [])
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        freeze(tmp_path / "results", [])

"""A file system that fails once: no run that is whole is removed, trained again or called damaged for it."""

import errno
import itertools
import os
import shutil

import pytest

from feature_lazy.core.errors import FeatureLazyError, StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import read_plans, write_plan
from feature_lazy.runs.reading import UnreadableRunError, load_run
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from tests.conftest import QUICK
from tests.runs.conftest import RUN, save

ERRORS = (errno.ESTALE, errno.EIO, errno.EACCES, errno.EMFILE)
READS = ("open", "listdir", "scandir", "lstat", "stat")
"""What asks a file system for something; ``Path`` and ``glob`` use these, too."""


class Flaky:
    """A file system whose k-th answer about a folder is an error; what is written by descriptors is left alone."""

    def __init__(self, monkeypatch, root, k):
        self.root, self.left, self.failed = str(root), k, False
        self.error = ERRORS[k % len(ERRORS)]
        for name in READS:
            monkeypatch.setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, real):
        def call(path=".", *arguments, **options):
            inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.root)
            if inside and options.get("dir_fd") is None:
                self.left -= 1
                if self.left < 0 and not self.failed:
                    self.failed = True
                    raise OSError(self.error, os.strerror(self.error), os.fspath(path))
            return real(path, *arguments, **options)

        return call


def failures(monkeypatch, root):
    """Contexts in which the first answer fails, then the second, until all that is asked has been answered."""
    for k in itertools.count():
        with monkeypatch.context() as patch:
            flaky = Flaky(patch, root, k)
            yield k
        if not flaky.failed:
            return
        assert k < 200


def files_of(root):
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def root(tmp_path):
    """A complete run, and one with checkpoints."""
    store = Store(tmp_path / "results")
    save(store)
    save(store, done=False, run_id="half")
    return store.root


COMMANDS = {
    "status": ["status"],
    "verify": ["verify"],
    "export": ["export"],
    "clean": ["clean", "--yes", "--state", "damaged,failed,unreadable"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_removes_or_condemns_a_run_for_a_read_that_failed(root, monkeypatch, tmp_path, capsys, command):
    before, out = files_of(root / "runs"), ["out.csv"] if command == "export" else []
    name, *flags = COMMANDS[command]
    whole = [str(tmp_path / "whole.csv")] if out else []
    main([name, str(root), *whole, *flags])
    capsys.readouterr()
    for k in failures(monkeypatch, root):
        target = [str(tmp_path / f"{k}.csv")] if out else []
        status = main([name, str(root), *target, *flags])
        said = "".join(capsys.readouterr())
        assert " is damaged: " not in said
        assert "Remove this" not in said
        if target and status == 0:  # a table without a run would be another one
            assert (tmp_path / f"{k}.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert k >= 5
    assert files_of(root / "runs") == before


def test_survey_says_that_it_cannot_read_and_not_that_it_is_damaged(root, monkeypatch):
    states = set()
    for _ in failures(monkeypatch, root):
        try:
            found = survey(root)
        except StoreError as error:
            assert "cannot be read now" in str(error)  # noqa: PT017  of the folder itself
            continue
        states |= {(entry.run_id, entry.state) for entry in found.entries}
    assert {state for run_id, state in states if run_id == RUN} == {RunState.DONE, RunState.UNREADABLE}
    assert {state for run_id, state in states if run_id == "half"} <= {RunState.STOPPED, RunState.UNREADABLE}


def test_sweep_is_whole_or_refused(root, monkeypatch):
    save(Store(root), run_id="other")
    for _ in failures(monkeypatch, root):
        try:
            found = load_sweep(root)
        except StoreError as error:
            assert "cannot be read now" in str(error)  # noqa: PT017
        else:
            assert len(found) == 2


def test_checkpoints_are_whole_or_not_known(root, monkeypatch):
    """None of them is taken for damaged, and an older one for the newest."""
    store = Store(root)
    for _ in failures(monkeypatch, root):
        try:
            [(saved, _)] = store.checkpoints("half")
        except UnreadableRunError:
            continue
        assert saved.moment.stamp == "moment"


def test_a_plan_that_cannot_be_read_is_not_to_be_removed(root, monkeypatch, tiny):
    write_plan(root, [tiny(*QUICK)])
    for _ in failures(monkeypatch, root / "plans"):
        jobs, problems = read_plans(root)
        assert len(jobs) + len(problems) == 1
        assert not any("damaged" in problem for problem in problems)


def test_what_is_damaged_is_looked_at_again_before_it_is_removed(root, monkeypatch, capsys):
    """Whatever had made it look damaged: here the file system gave back something else, once."""
    from feature_lazy.runs import reading

    real, calls = reading.read_stored, iter([b"{}"])
    monkeypatch.setattr(reading, "read_stored", lambda path, **limit: next(calls, None) or real(path, **limit))
    before = files_of(root / "runs" / RUN)
    assert main(["clean", str(root), "--yes", "--state", "damaged"]) == 0
    said = capsys.readouterr()
    if "by now, and stays" in said.err:  # the first that was read was this run's
        assert files_of(root / "runs" / RUN) == before
    assert (root / "runs" / RUN).is_dir()
    assert (root / "runs" / "half").is_dir()
    assert "0 runs" in said.out


def test_a_run_that_goes_on_is_the_same_whichever_read_failed(tiny, tmp_path, monkeypatch):
    """Training fails in a sentence, or not at all; repeated, it gives the numbers of an uninterrupted run."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a busy disk takes its time
    job = (*QUICK, "checkpoint_every=1e-9")
    [whole] = run(build(tiny(*job, f"output_dir={tmp_path / 'whole'}")))
    run(build(tiny(*job, "dynamics.max_steps=6")))
    begun, root = tmp_path / "begun", tmp_path / "results"
    shutil.copytree(root, begun)
    refused = 0
    for k in range(0, 40, 6):
        shutil.rmtree(root)
        shutil.copytree(begun, root)
        batch = build(tiny(*job))
        with monkeypatch.context() as patch:
            flaky = Flaky(patch, root, k)
            try:
                run(batch)
            except FeatureLazyError:
                refused += 1
        [again] = run(build(tiny(*job)))
        assert again.rows == load_run(whole.path).rows
        assert len(again.provenance["segments"]) >= 2  # what had trained it before is not forgotten
        if not flaky.failed:
            break
    assert refused > 1

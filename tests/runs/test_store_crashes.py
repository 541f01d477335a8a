"""A crash at every moment of a write: nothing that looks complete, nothing lost."""

import os

import pytest

from feature_lazy.runs.reading import load_run
from tests.runs.conftest import HISTORY_ROWS, RUN, save


class Crash(BaseException):
    """What a kill looks like from inside: nothing handles it."""


def crash_at(monkeypatch, k):
    """Let the process die at the k-th replacement of a file, before it happens."""
    calls = iter(range(k))
    replace = os.replace

    def dying(source, target, **folders):
        if next(calls, None) is None:
            raise Crash
        replace(source, target, **folders)

    monkeypatch.setattr(os, "replace", dying)


def crashes(monkeypatch, store, *, done):
    """Save with a crash at every replacement in turn, until a save goes through; yields after each crash."""
    for k in range(12):
        with monkeypatch.context() as patch:
            crash_at(patch, k)
            try:
                save(store, done=done)
            except Crash:
                for owner in store.path(RUN).glob("owner-*.json"):
                    owner.unlink()  # who died has no lease
                yield k
            else:
                return
    raise AssertionError("a save never went through")


def test_crash_at_any_moment_leaves_no_complete_looking_run(monkeypatch, store):
    crashed = []
    for k in crashes(monkeypatch, store, done=True):
        crashed.append(k)
        assert not store.is_done(RUN)
        assert store.checkpoints(RUN) == []
        assert not list(store.path(RUN).glob(".*"))  # nor half a file
    assert crashed == [0, 1, 2, 3, 4, 5]  # before manifest and history, then history, outputs, manifest and done
    load_run(store.path(RUN)).verify()


@pytest.mark.parametrize("done", [True, False])
def test_crash_over_a_checkpoint_loses_nothing(monkeypatch, store, done):
    save(store, done=False, rows=HISTORY_ROWS[:1])
    for _ in crashes(monkeypatch, store, done=done):
        assert not store.is_done(RUN)
        assert len(store.checkpoints(RUN)[0][1]) >= 1
    load_run(store.path(RUN)).verify()

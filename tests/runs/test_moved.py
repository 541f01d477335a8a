"""Folders that somebody copies, renames, cuts or removes, also while a run is trained in them."""

import logging
import shutil

import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.boundary.readings import stored
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.failures import recorded
from feature_lazy.runs.history import History
from feature_lazy.runs.reading import ERROR, HISTORY, DamagedRunError, MisnamedRunError, load_run
from feature_lazy.runs.store.lease import GoneError
from feature_lazy.runs.survey import survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.study.table import over_seeds, read
from tests.runs.conftest import DESCRIPTION, HISTORY_ROWS, RUN, save

COPY = f"{RUN} (copy)"


@pytest.mark.parametrize("done", [True, False])
def test_a_copied_run_is_named_and_left_alone(store, caplog, capsys, done):
    path, root = save(store, done=done), store.root
    save(store, run_id="other")
    shutil.copytree(path, root / "runs" / COPY)
    named = f"{COPY} holds the run {RUN}, whose name it does not have"
    with pytest.raises(MisnamedRunError):
        load_run(root / "runs" / COPY)
    with caplog.at_level(logging.WARNING):
        assert [one.run_id for one in load_sweep(root).runs] == ([RUN] if done else []) + ["other"]
        assert [one.run_id for one in stored(root)] == ([RUN] if done else []) + ["other"]
    assert caplog.text.replace("\\", "").count(named) == (2 if done else 0)
    found = survey(root)
    assert {entry.run_id for entry in found.entries} == {RUN, "other"}
    assert [named in problem for problem in found.problems] == [True]
    assert main(["verify", str(root)]) == 1
    assert f"{1 + done} complete runs checked, 1 problems" in capsys.readouterr().out
    main(["status", str(root)])
    assert "whose name it does not have" in " ".join(capsys.readouterr().out.split())
    assert main(["clean", str(root), "--state", "done,damaged,interrupted,stopped", "--yes"]) == 0
    assert (root / "runs" / COPY).is_dir()


def test_a_copied_run_is_in_no_mean(store):
    for seed in range(3):
        columns = {**DESCRIPTION["columns"], "seed": seed, "P": 4}
        save(store, run_id=f"run{seed}", description={**DESCRIPTION, "columns": columns}, summary={"x": float(seed)})
    shutil.copytree(store.path("run2"), store.root / "runs" / "run2 copy")
    assert over_seeds(read(store.root), "x")[["mean", "n"]].to_dict("records") == [{"mean": 1.0, "n": 3}]


def test_a_run_by_the_name_of_another_is_not_trained_over(tiny):
    [one], [other] = cells(tiny()), cells(tiny("seed.value=1"))
    config = tiny()
    run_dir = run(build(config))[0].path
    run_dir.rename(run_dir.with_name(other.run_id))
    with pytest.raises(MisnamedRunError, match=f"{other.run_id} holds the run {one.run_id}"):
        run(build(tiny("seed.value=1")))


@pytest.mark.parametrize("how", ["renamed", "removed", "emptied"])
def test_a_folder_that_is_taken_away_is_called_gone_and_not_made_again(store, tiny, how):
    config = tiny(f"output_dir={store.root}")
    [cell] = cells(config)
    folder = store.path(cell.run_id)
    with pytest.raises(GoneError, match="was renamed or removed while it was trained"), recorded(store, [cell]):  # noqa: PT012, SIM117
        with store.claim([cell.run_id]) as claims:
            open_run = claims.runs[cell.run_id]
            open_run.begin(DESCRIPTION, History())
            if how == "renamed":
                store.root.rename(store.root.with_name("renamed"))
            else:
                shutil.rmtree(folder if how == "emptied" else store.root)
            open_run.observe(HISTORY_ROWS[0])
    assert not folder.exists()
    if how == "renamed":
        assert [path.name for path in store.root.with_name("renamed").glob(f"runs/*/{ERROR}")] == []
        assert not store.root.exists()


@pytest.mark.parametrize("how", ["cut", "changed", "missing"])
def test_a_history_shorter_than_its_checkpoints_is_called_that(store, how):
    path = save(store, done=False)
    history = path / HISTORY
    if how == "missing":
        history.unlink()
    else:
        history.write_bytes(history.read_bytes()[:-3] if how == "cut" else b"x" + history.read_bytes()[1:])
    with pytest.raises(
        DamagedRunError, match=r"history.jsonl is shorter than when its checkpoints \(checkpoint-1-.*2 obs"
    ):
        store.checkpoints(RUN)


def test_a_taken_over_run_is_still_called_that(store):
    with store.claim([RUN]) as claims:
        one = claims.runs[RUN]
        (one.path / "owner-2.json").write_bytes((one.path / "owner-1.json").read_bytes())
        with pytest.raises(StoreError, match="taken over by another process") as raised:
            one.observe(HISTORY_ROWS[0])
        assert not isinstance(raised.value, GoneError)

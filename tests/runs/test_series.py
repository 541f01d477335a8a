"""Arrays over time: stored weights and outputs, whole whatever happens while they grow."""

import random

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from feature_lazy import load_sweep
from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.history import History
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import DamagedRunError, load_run
from feature_lazy.runs.series import Series, part_name, stored_name
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK
from tests.processes import kill_until_done, science
from tests.runs.conftest import ALONE, DESCRIPTION, HISTORY_ROWS, RUN, SUMMARY
from tests.runs.test_kills import ODD, assert_survives, uninterrupted

ARRAYS = ("observe.weights=all", "observe/also=[outputs]", "observe.also.outputs.every=3")
TWO = ("seed=ensemble", "seed.members=2")
WAYS = {
    "tangent": ("alpha.value=10", "dynamics.stepper=tangent"),
    "frozen": ("alpha.value=10", "dynamics=frozen_kernel"),
    "sgd": ("dynamics=sgd", "dynamics.updates=60"),
}
KEPT = {
    "weights/W": np.arange(12.0).reshape(3, 4)[:, ::2],
    "weights/b": np.array([1.5], dtype=np.float32),
    "seen": np.array([[True, False], [False, False]]),
    "ranks": np.array([3, -1], dtype=np.int64),
    "none": np.empty((0, 3)),
}


def trained(config):
    return [load_run(f"{config.output_dir}/runs/{run_id}") for run_id in train_config(config)]


def test_weights_are_those_of_the_flow(tiny):
    config = tiny(*QUICK, *TWO, *ARRAYS)
    batch = build(config)
    for cell, run in zip(cells(config), trained(config), strict=True):
        first, last = run.weights(0), run.weights(-1)
        for name, w0 in batch.architecture.init(cell.seed).items():
            np.testing.assert_array_equal(first[name], w0.numpy())
        x = batch.dataset.x_test
        with torch.no_grad():
            f, f0 = (
                batch.architecture.apply({k: torch.from_numpy(w)[None] for k, w in one.items()}, x)[0]
                for one in (last, first)
            )
        # Rounding of f − f₀, which α enlarges.
        np.testing.assert_allclose((batch.alpha * (f - f0)).numpy(), run.outputs["F_test"], atol=1e-12 * batch.alpha)
        t, w = run.over_time("weights/W1")
        np.testing.assert_array_equal(t, run.history["t"])
        change = np.linalg.norm((w - w[0]).reshape(len(w), -1), axis=1) / np.linalg.norm(w[0])
        np.testing.assert_allclose(change, run.history["weights/W1/change"], rtol=1e-12)


def test_outputs_have_a_cadence_and_the_end(tiny):
    [run] = trained(tiny(*QUICK, *ARRAYS, "observe.n_test=12"))
    t, f = run.over_time("F_test")
    rows = len(run.rows)
    assert [*run.arrays["F_test"]] == sorted({*range(0, rows, 3), rows - 1})
    np.testing.assert_array_equal(t, run.history["t"][[*run.arrays["F_test"]]])
    assert f.shape == (len(t), 12)
    np.testing.assert_array_equal(f[-1], run.outputs["F_test"][:12])
    np.testing.assert_array_equal(run.over_time("F_train")[1][-1], run.outputs["F_train"])
    assert load_file(run.path / "series.safetensors")["0/F_train"].tolist() == [0.0] * 20


def test_outputs_of_several(tiny):
    classes = ("labels=classes", "loss=mse", "dataset.classes=[1,2,3]", "dataset.n_train=21", "dataset.n_test=21")
    [run] = trained(tiny(*classes, "dynamics=sgd", "dynamics.updates=9", "observe/also=[outputs]"))
    assert run.over_time("F_test")[1].shape[1:] == (21, 3)
    np.testing.assert_array_equal(run.over_time("F_test")[1][-1], run.outputs["F_test"])


def test_ends_are_the_first_and_the_last(tiny):
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    assert [*run.arrays["weights/W0"]] == [0, len(run.rows) - 1]
    assert run.kinds == ["weights"]


def test_off_there_is_nothing_and_ids_stay(tiny):
    plain = tiny(*QUICK)
    [run] = trained(plain)
    assert run.kinds == []
    assert not [*run.path.glob("weights*"), *run.path.glob("series*"), *run.path.glob("*.part")]
    assert cells(plain)[0].run_id == cells(tiny(*QUICK, *ARRAYS))[0].run_id
    with pytest.raises(StoreError, match=r"observe\.weights=ends"):
        run.weights()
    with pytest.raises(StoreError, match=r"no array 'F_test' over time; there are: none"):
        run.over_time("F_test")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_recording_changes_nothing_else(tiny, tmp_path, dtype):
    job = (*QUICK, f"dtype={dtype}", *TWO)
    recorded = trained(tiny(*job, *ARRAYS))
    for run, plain in zip(recorded, trained(tiny(*job, f"output_dir={tmp_path / 'plain'}")), strict=True):
        assert run.rows == plain.rows
        assert run.summary == plain.summary
        assert run.weights()["W0"].dtype == dtype


def test_two_together_are_each_alone(tiny, tmp_path):
    together = trained(tiny(*QUICK, *TWO, *ARRAYS))
    for seed, run in enumerate(together):
        [alone] = trained(tiny(*QUICK, f"seed.value={seed}", *ARRAYS, f"output_dir={tmp_path / 'alone'}"))
        for name in ("weights/W0", "F_test"):
            found, expected = run.over_time(name)[1], alone.over_time(name)[1]
            # Products of a batch are rounded in another order; α = 10/√8 and some hundred steps enlarge that.
            np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("dynamics", WAYS)
def test_killed_anywhere_and_resumed_bit_for_bit(tiny, tmp_path, dynamics):
    job = (*ODD, *ARRAYS, *TWO, "checkpoint_every=1e-9", *WAYS[dynamics])
    whole = uninterrupted(*job)
    assert kill_until_done(tiny(*job), random.Random(2), kills=3, longest=0.5) > 0
    found = science(tmp_path / "results")
    assert {run: kept[:2] for run, kept in found.items()} == {run: kept[:2] for run, kept in whole.items()}
    assert all({stored_name("weights"), stored_name("series")} <= kept[1].keys() for kept in found.values())


@pytest.mark.parametrize("k", [3, 6])
def test_killed_between_the_first_files(tiny, tmp_path, k):
    assert_survives(tiny, tmp_path, (*ODD, *ARRAYS, *TWO, "checkpoint_every=1e-9", *WAYS["tangent"]), (k,))


def test_stopped_by_a_budget_it_goes_on(tiny):
    """What goes on has each observation once."""
    for budget in (3, 9, 10**6):
        train_config(tiny(*QUICK, *ARRAYS, f"dynamics.max_steps={budget}"))
    [run] = load_sweep(tiny().output_dir).runs
    assert [*run.arrays["weights/W0"]] == [*range(len(run.rows))]


def test_asked_for_on_the_way(tiny):
    """What is recorded is no part of the identity: weights are there from where they were asked for."""
    train_config(tiny(*QUICK, "dynamics.max_steps=9"))
    [run] = trained(tiny(*QUICK, "observe.weights=all"))
    first, *_ = numbers = [*run.arrays["weights/W0"]]
    assert first > 0
    assert numbers == [*range(first, len(run.rows))]


def opened(store, arrays=KEPT, rows=1, *, done=False):
    """A run with arrays at some observations, with a checkpoint or complete."""
    with store.claim([RUN]) as claims:
        run = claims.runs[RUN]
        before = store.checkpoints(RUN)
        run.begin(DESCRIPTION, before[0][1] if before else History())
        for row in (HISTORY_ROWS * rows)[len(run.history) : rows]:
            run.observe(row, arrays)
        if done:
            run.finish(SUMMARY, {}, {})
        else:
            run.checkpoint("moment", ALONE, {})
    return store.path(RUN)


def test_every_type_comes_back(store):
    opened(store)
    path = opened(store, rows=2, done=True)
    run = load_run(path)
    run.verify()
    for name, array in KEPT.items():
        t, found = run.over_time(name)
        assert len(t) == 2
        np.testing.assert_array_equal(found, np.stack([array] * 2))
        assert found.dtype == array.dtype
    assert run.weights(0).keys() == {"W", "b"}
    assert not list(path.glob("*.part"))


def test_what_comes_after_a_checkpoint_is_dropped(store):
    path = opened(store) / part_name("weights")
    whole = path.read_bytes()
    path.write_bytes(whole + b"of an owner that was killed")
    [(_, history)] = store.checkpoints(RUN)
    history.keep_arrays(path.parent)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damaged_arrays_are_found_before_it_goes_on(store, damage):
    path = opened(store) / part_name("weights")
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-1], "changed": b"x" + data[1:]}.get(damage, b""))
    if damage == "gone":
        path.unlink()
    with pytest.raises(DamagedRunError, match=r"weights\.part and series\.part cut or changed since its checkpoints"):
        store.checkpoints(RUN)


def test_damage_while_it_is_trained_is_found_at_the_end(tmp_path):
    series = Series(tmp_path / "weights.part")
    series.append(0, KEPT)
    (tmp_path / "weights.part").write_bytes(b"x" * series.size)
    with pytest.raises(OSError, match="has changed since"):
        series.finish(tmp_path / "weights.safetensors")
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_damaged_file_of_a_complete_run_is_named(store):
    path = opened(store, done=True)
    file = path / stored_name("weights")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    run = load_run(path)
    for use in (run.weights, run.verify):
        with pytest.raises(DamagedRunError, match=r"weights\.safetensors does not match"):
            use()


def test_what_a_kill_leaves_behind_a_complete_run_is_cleaned(store):
    path = opened(store, done=True)
    (path / part_name("weights")).write_bytes(b"")
    assert main(["clean", str(store.root), "--yes"]) == 0
    assert not list(path.glob("*.part"))
    assert (path / stored_name("weights")).exists()


def test_back_to_an_earlier_observation(tmp_path):
    series, other = Series(tmp_path / "a.part"), Series(tmp_path / "b.part")
    for number in (0, 2, 4):
        series.append(number, {"x": np.full(3, float(number))})
    series.back_to(3)
    series.append(3, {"x": np.full(2, 3.0)})
    for number, size in ((0, 3), (2, 3), (3, 2)):
        other.append(number, {"x": np.full(size, float(number))})
    assert series.reach() == other.reach()
    assert series.finish(tmp_path / "a") == other.finish(tmp_path / "b")


def test_observations_of_a_step_that_was_left_are_forgotten(store):
    with store.claim([RUN]) as claims:
        run = claims.runs[RUN]
        run.begin(DESCRIPTION, History())
        for number in range(3):
            run.observe({"t": number}, {"x": np.full(2, float(number))})
        run.history.back_to(1)
        run.checkpoint("moment", ALONE, {})
    path = opened(store, {"x": np.full(2, 9.0)}, rows=3, done=True)
    assert load_run(path).over_time("x")[1].tolist() == [[0, 0], [9, 9], [9, 9]]


def test_a_users_own_arrays_and_what_is_refused(tiny, tmp_path, monkeypatch):
    (tmp_path / "own_series.py").write_text(
        "from feature_lazy.settings.groups import Observable\n"
        "class Signs(Observable):\n"
        "    def series(self, moment):\n"
        "        return {'signs': moment.weights > 0}\n"
        "class Wrong(Observable):\n"
        "    def series(self, moment):\n"
        "        return {'signs': 3.0}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = ("observe/also=[custom]", "observe.also.custom.targets={mine: own_series.Signs}")
    [run] = trained(tiny(*QUICK, *own, "observe.weights=ends"))
    t, signs = run.over_time("mine/signs")
    assert (len(t), signs.dtype) == (len(run.rows), np.bool_)
    w = np.concatenate([weight.ravel() for weight in run.weights(0).values()])
    np.testing.assert_array_equal(signs[0], w > 0)
    with pytest.raises(ConfigError, match=r"the array mine/signs over time is 3.0; it must be a tensor \(1, …\)"):
        train_config(tiny(*QUICK, own[0], own[1].replace("Signs", "Wrong"), "seed.value=7"))

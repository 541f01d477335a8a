"""Training from Python, and what a notebook shows of a sweep, a run, a trajectory and a regime."""

import os
import signal
import threading

import matplotlib.pyplot as plt
import numpy as np
import pytest

import feature_lazy
from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch import notebook
from feature_lazy.runs.reading import Run
from feature_lazy.runs.sweep import Sweep, load_sweep
from tests.conftest import QUICK, TINY
from tests.processes import there, wait_for
from tests.study.stored_sweeps import plant

WRITTEN = {"dynamics": {"lr": 0.1}, "alpha": {"value": 1.0}}
ONE_LINE, ONE_CELL = 300, 4000
"""Letters that a repr and a table in HTML may have, of a sweep of any size."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    plant(root, xs=(0.1, 1.0, 100.0), widths=(30, 100), seeds=4, observations=4, config=WRITTEN)
    return load_sweep(root)


def test_a_sweep_from_python_is_that_of_the_command_line(tmp_path, capsys, train_py):
    tiny = [*TINY, *QUICK[1:], "threads=1"]
    root = tmp_path / "results of mine"
    both = feature_lazy.train(*tiny, "alpha.value=1,10", output_dir=root)
    assert "2 runs in 2 jobs, 0 runs already done" in capsys.readouterr().out
    assert len(both) == 2
    one = feature_lazy.train(*tiny, "alpha.value=10", output_dir=root, quiet=True)
    assert [run.run_id for run in one.runs] == [run.run_id for run in both.runs if run.columns["sqrt_h_alpha"] == 10]
    assert one[0].provenance == both[one[0].run_id].provenance  # it is not trained again
    assert capsys.readouterr().out == ""
    assert train_py(root, "-m", *tiny, "alpha.value=1,10").stdout.startswith("2 runs in 2 jobs, 2 runs already done")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m"], "flags are the command line's"),
        ([3], "overrides are texts"),
        (["output_dir=x"], "give the folder as a keyword"),
        (["loss=custom", "loss.target=python:f:12"], "an object of this one is not there"),
    ],
)
def test_what_is_no_override_is_refused_before_a_process_starts(tmp_path, monkeypatch, words, message):
    monkeypatch.setattr(notebook.subprocess, "Popen", None)
    with pytest.raises(ConfigError, match=message):
        feature_lazy.train(*words, output_dir=tmp_path)


def test_what_the_command_line_refuses_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"^Nothing was started:\nalpha.value=-1.0: must be greater than 0.$"):
        feature_lazy.train(*TINY, "alpha.value=-1", output_dir=tmp_path)
    assert not list(tmp_path.glob("runs/*"))


def test_a_stopped_cell_waits_for_the_state_to_be_kept(tmp_path):
    def stop():
        try:
            wait_for(lambda: there(tmp_path, "runs/*/history.jsonl"), 300)
        finally:  # or the cell trains to its end, which is far
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        feature_lazy.train(*TINY, "threads=1", "dynamics.tolerance=1e-10", "dynamics.stepper=rk32", output_dir=tmp_path)
    [run] = tmp_path.glob("runs/*")
    assert list(run.glob("checkpoint-*"))
    assert not (run / "done").exists()


def test_a_cell_shows_little_of_a_sweep_of_any_size(sweep):
    large = Sweep(sweep.root, list(sweep.runs) * 40)
    for shown, most in ((repr(large), ONE_LINE), (large._repr_html_(), ONE_CELL), (repr(sweep[0]), ONE_LINE)):
        assert len(shown) < most
    assert "… 950 more" in large._repr_html_()
    assert repr(sweep).endswith("24 runs; h = 30, 100; sqrt_h_alpha = 0.1, 1, 100; seed = 0, 1, 2, 3; 24 converged")


def test_what_a_cell_shows_runs_nothing(sweep):
    run = sweep[0]
    columns = {**run.columns, "h": "<script>alert(1)</script>"}
    bad = Run(run.path, {**run.manifest, "columns": columns}, run.done)
    assert "<script" not in Sweep(sweep.root, [bad])._repr_html_() + bad._repr_html_()


def test_runs_are_chosen_by_values_and_by_the_beginning_of_their_id(sweep):
    assert {run.columns["h"] for run in sweep.select(h=100.0).runs} == {100}
    assert len(sweep.select(seed=[0, 1], sqrt_h_alpha=np.float64(0.1))) == 4
    assert len(sweep.select(**{"dynamics.lr": 0.1})) == len(sweep)
    run = sweep.runs[5]
    assert sweep[run.run_id[:8]] is run
    assert sweep[-1] is sweep.runs[-1]
    for ask, message in [
        (lambda: sweep.select(hh=1), "no run has 'hh'.*Did you mean h"),
        (lambda: sweep.select(h=31), "no run has h = 31; there are 30, 100"),
        (lambda: sweep.select(alpha=1), r"no run has alpha = 1; there are .*[.] alpha.value, as it is written"),
        (lambda: sweep["zz"], "no run of .* begins so"),
        (lambda: sweep[""], "no run of .* begins so"),
    ]:
        with pytest.raises(StoreError, match=message):
            ask()
    with pytest.raises(IndexError, match=r"^sweep\[99\]: .* has \d+ complete runs\.$"):
        sweep[99]


def test_figures_of_a_sweep_and_of_a_run(sweep):
    before = plt.get_fignums()
    [axes] = sweep.plot("kernel/change").axes
    table = sweep.table
    for line, h in zip(list(axes.containers), (30, 100), strict=True):
        means = table[table["h"] == h].groupby("sqrt_h_alpha")["kernel/change"].mean()
        assert np.allclose(line.lines[0].get_ydata(), means)
    with pytest.raises(StoreError, match="would be one point"):
        sweep.plot("kernel/change", by=())
    figure = sweep[0].plot("train/loss", "kernel/change")
    assert [len(axis.lines) for axis in figure.axes] == [1, 1]
    assert len(sweep[0].plot().axes) == 3
    with pytest.raises(StoreError, match=r"no 'tain/loss' over time. Did you mean train/loss"):
        sweep[0].plot("tain/loss")
    assert plt.get_fignums() == before  # else a notebook shows each twice


def test_a_trajectory_and_a_regime_are_a_line(monkeypatch):
    x = np.random.default_rng(0).standard_normal((6, 3))
    y = np.sign(x[:, 0])

    def network(weights, x):
        return (x @ weights["a"].mT).tanh() @ weights["b"]

    weights = {"a": np.full((4, 3), 0.3) + np.eye(4, 3), "b": np.linspace(-1, 1, 4)}
    run = feature_lazy.follow(network, weights, (x, y), alpha=1.0, loss="mse", dynamics="gradient_flow", t_end=1.0)
    assert repr(run).startswith("Trajectory: t_end at t = 1, ")
    answer = feature_lazy.regime(network, weights, (x, y), (x, None), alpha=1.0, others=(), loss="soft_hinge")
    assert repr(answer).startswith(f"Regime: {answer.here.regime} at α = 1, α* = ")
    for one in (run, answer):
        assert len(repr(one)) < ONE_LINE
        assert len(one._repr_html_()) < ONE_CELL

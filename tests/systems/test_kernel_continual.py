"""Coresets of tasks: a value computed apart, what mixtures draw, planted verdicts, runs, the command, and refusals."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import infinite_kernels
from feature_lazy.launch.commands import main
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study import continual as study
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.continual import Continual, Coreset, Generator, continual
from feature_lazy.study.laws import readings
from feature_lazy.study.table import X, with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.kernel_continual import claim
from tests.conftest import QUICK, TINY, composed
from tests.systems.reference import reference

JOB = (*TINY, *QUICK, "dataset.n_train=100", "dataset.n_test=100", "activation=relu", "architecture.depth=1")
JOB = (*JOB, "observe.kernel.probe=0", "dynamics.t_end=0.1", "observe.weights=ends", "alpha=rescaled")
LAWS = (claim.as_much, claim.more, claim.with_own_kernel)


def theta(x1, x2):
    return infinite_kernels(scaled(Relu()), 1, x1, x2).ntk


def test_accuracy_of_tasks_is_that_computed_apart():
    known = reference("kernel_continual")
    tasks = Continual(theta, [], list(known["tests"]), known["ridge"])
    assert tasks.accuracy(list(known["kept"])) == known["accuracy"]
    # Two of four classes are one task, and a fifth one has no other.
    assert tasks.accuracy(list(known["kept"][:2])) == known["tasks"][0]
    tasks.test.append(known["tests"][0])
    assert tasks.accuracy([*known["kept"], known["kept"][0]]) == known["accuracy"]


def blob(n=400, d=5, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((n, d)) @ random.standard_normal((d, d)) + 3


def test_one_gaussian_in_all_components_has_the_mean_and_the_covariance_of_the_class():
    x = blob()
    found = Generator.fit(x, components=1, dimensions=5).draw(200_000, np.random.default_rng(1))
    spread = np.cov(x.T, bias=True)
    # Sampling leaves √(2/N) = 0.3 % of a variance.
    np.testing.assert_allclose(np.cov(found.T), spread, atol=0.02 * np.abs(spread).max())
    np.testing.assert_allclose(found.mean(0), x.mean(0), atol=0.02 * np.sqrt(spread.max()))


def test_components_are_drawn_by_their_weights():
    """A third of the class lies elsewhere, to which half of a mixture's components would send a half."""
    x = np.concatenate([blob(200), blob(100, seed=1) + 40])
    found = Generator.fit(x, components=2, dimensions=3).draw(20_000, np.random.default_rng(1))
    assert (found.mean(1) > 25).mean() == pytest.approx(1 / 3, abs=0.02)


def test_memory_and_the_sphere():
    x = blob(d=6)
    one = Generator.fit(x, components=3, dimensions=2)
    assert one.numbers == 3 * (2 + 2 + 1) + 2 * 6 + 6
    random = np.random.default_rng(0)
    assert np.ptp(np.square(one.draw(9, random)).sum(1)) > 1
    x *= np.sqrt(6) / np.linalg.norm(x, axis=1, keepdims=True)
    on = Generator.fit(x, components=3, dimensions=2)
    np.testing.assert_allclose(np.square(on.draw(9, random)).sum(1), 6)
    tasks = Continual(theta, [study.torch.from_numpy(x)], [])
    assert Coreset(60, (3, 2)).memory(tasks) == one.numbers / 6
    assert Coreset(7).memory(tasks) == 7


def test_refusals_of_generators_and_coresets():
    x = blob(10)
    with pytest.raises(ConfigError, match="11 components: a class has 10 training patterns; take as many at most"):
        Generator.fit(x, components=11, dimensions=2)
    with pytest.raises(ConfigError, match="6 dimensions: a class has 10 training patterns of 5 numbers"):
        Generator.fit(x, components=2, dimensions=6)
    with pytest.raises(ConfigError, match="11 stored patterns a class: one has 10 training patterns; take fewer"):
        Continual(theta, [study.torch.from_numpy(x)], []).stored(11, np.random.default_rng(0))


def planted(generated, stored, splits=5):
    """Runs of several splits, and in place of their tasks a memory of 14.2 patterns and these accuracies."""
    random = np.random.default_rng(0)
    place = {"outcome": "converged", claim.CHANGE: 0.1, X: 1.0}
    runs = [
        SimpleNamespace(config={"dataset": {"seed": split}}, kinds=("weights",), luck=random.normal(0, 0.01))
        for split in range(splits)
    ]

    def accuracy(run, coreset, tasks):
        if coreset == claim.GENERATED:
            return generated + run.luck
        assert coreset.size in (15, 20)  # rounded up
        return stored

    def of_class():
        return SimpleNamespace(numbers=142)

    tasks = SimpleNamespace(train=[np.zeros((3, 10))], generators=lambda *mixture: [of_class()])
    return pd.DataFrame([{**place, "run": one} for one in runs]), accuracy, lambda run, kernel: tasks


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.measure.__name__)
def test_planted_agree_and_others_differ(law, monkeypatch):
    verdicts = []
    for generated in (0.97, 0.87):
        table, accuracy, tasks = planted(generated, 0.92)
        monkeypatch.setattr(claim, "accuracy", accuracy)
        monkeypatch.setattr(claim, "continual", tasks)
        verdicts += [row.verdict for row in readings(law, table)]
    assert verdicts == [AGREES, DIFFERS]
    for one in table["run"]:
        one.kinds = ()
    [row] = readings(law, table)
    assert row.verdict == CANNOT_TELL
    assert "and weights (observe.weights=ends)" in row.measured


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Networks of the parity of ten digits, of two splits and two seeds."""
    folder = tmp_path_factory.mktemp("continual")
    for split in (0, 1):
        more = (f"dataset.seed={split}", "seed=ensemble", "seed.members=2", f"output_dir={folder}")
        run(build(composed(*JOB, *more)))
    return folder


def test_tasks_of_runs(stored):
    one = load_sweep(stored).runs[0]
    tasks = continual(one, "infinite_ntk")
    assert [len(x) for x in tasks.train] == [len(x) for x in tasks.test] == [10] * 10
    _, _, data = Bench().ready(one, "infinite_ntk")
    threes = data.x_train[data.classes_train == 3]
    np.testing.assert_array_equal(tasks.train[3], threes)
    assert (data.y_train[data.classes_train == 3] == data.y_train[data.classes_train == 5]).all()
    whole, few = (Coreset(size).accuracies(tasks, one, 3) for size in (10, 1))
    assert np.ptp(whole) < 1e-12  # all there are, in another order
    assert np.ptp(few) > 0
    assert whole.mean() > few.mean() > 0.6
    np.testing.assert_array_equal(few, Coreset(1).accuracies(continual(one, "infinite_ntk"), one, 3))
    drawn = Coreset(20, (1, 5)).accuracies(tasks, one, 1)
    assert 0.7 < drawn[0] <= 1


def test_kernel_of_several_outputs_is_the_mean_of_each(tmp_path):
    job = ("labels=classes", "dataset.classes=[0,1,2,3]", "loss=mse", f"output_dir={tmp_path}")
    [one] = run(build(composed(*JOB, *job)))
    kernels, _, data = Bench().ready(one, "end")
    x, others = data.x_train[:3], data.x_test[:2]
    found = continual(one, "end").between(x, others)
    whole = kernels.between(x, others).numpy()
    np.testing.assert_allclose(found, sum(whole[k::4, k::4] for k in range(4)) / 4)


def test_laws_of_stored_runs(stored, monkeypatch):
    monkeypatch.setattr(claim, "GENERATED", Coreset(10, (1, 3)))
    monkeypatch.setattr(claim, "STORED", 5)
    monkeypatch.setattr(claim, "DRAWS", 1)
    table = with_runs(load_sweep(stored))
    for law in LAWS:
        [row] = readings(law, table)
        assert abs(row.estimate.value) < 0.3
        assert row.estimate.seeds == 2  # splits
    for law in LAWS:
        [row] = readings(law, table[[run.config.get("dataset", {}).get("seed", 0) == 0 for run in table["run"]]])
        assert row.verdict == CANNOT_TELL
        assert "two splits of data with classes" in row.measured


def test_command(stored, capsys):
    words = ["--memory", "1,2", "--generated", "10", "--components", "1", "--dimensions", "3", "--draws", "1"]
    assert main(["continual", str(stored), "--kernel", "infinite_ntk,end", *words]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("generated") == 4  # of two splits and two kernels
    assert shown.count("stored") == 8
    assert "95 % over runs" in shown
    one = load_sweep(stored).runs[0]
    memory = Coreset(10, (1, 3)).memory(continual(one, "infinite_ntk"))
    assert f"{memory:.1f}" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--memory", "few"], "--memory few: must be whole numbers with commas between them."),
        (["--draws", "0"], "--draws 0: must be 1 or more."),
        (["--ridge", "0"], "--ridge 0: must be a number above 0."),
        (["--kernel", "ntk"], "kernel ntk: there is none; choose of infinite_ntk"),
        (["--memory", "11", "--dimensions", "3"], "11 stored patterns a class: one has 10 training patterns"),
    ],
)
def test_refusals_of_the_command(stored, words, sentence, capsys):
    assert main(["continual", str(stored), *words]) == 1
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_data_without_classes_and_folders_without_runs(stored, tmp_path, monkeypatch, capsys):
    ready = Bench.ready

    def without(self, run, kernel):
        kernels, task, data = ready(self, run, kernel)
        return kernels, task, replace(data, classes_train=None)

    monkeypatch.setattr(Bench, "ready", without)
    assert main(["continual", str(stored)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("tasks are pairs of classes, and its data have none; take images of digits. (1 run)") == 4
    assert main(["continual", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err

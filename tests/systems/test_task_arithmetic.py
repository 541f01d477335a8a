"""Sums of what tasks have added: values computed apart, planted verdicts, runs, the command, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch.commands import main
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.tasks import LINEARISED, NONLINEAR, POST_HOC, Arithmetic, Task, arithmetic
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.task_arithmetic import claim
from tests.conftest import TINY, composed
from tests.systems.reference import reference


def of_reference(known, *, linear):
    """The tasks of the reference, as if they were of stored runs."""
    net = FullyConnected(5, [4, 6], scaled(Tanh(scale="none")), n_outputs=3)
    tasks = []
    for x, start, vector in zip(known["x"], known["start"], known["vectors"], strict=True):
        data = SimpleNamespace(x_test=x, y_test=torch.zeros(len(x)).long(), x_valid=None, y_valid=None)
        network = SimpleNamespace(architecture=net, data=data, memory_limit=2.0**30)
        tasks.append(Task("", network, start[None], vector[None], linear))
    return Arithmetic(tasks)


@pytest.mark.parametrize(("name", "linear"), [("nonlinear", False), ("post-hoc", True)])
def test_sums_are_those_computed_apart(name, linear):
    known = reference("task_arithmetic")
    one = of_reference(known, linear=linear)
    assert one.superposition == pytest.approx(known[f"superposition {name}"], rel=1e-10, abs=1e-13)
    assert one.disentanglement().item() == pytest.approx(known[f"xi {name}"], abs=1e-12)
    assert (one.superposition < 1e-13) == linear


def test_corners_of_the_square_of_disentanglement():
    """ξ is 0 where one task alone is added, but for the other task, whose own network is then w₀."""
    grid = of_reference(reference("task_arithmetic"), linear=False).disentanglement((0.0, 1.0))
    assert grid[0, 0] == 0
    assert grid[1, 1] == pytest.approx(reference("task_arithmetic")["xi nonlinear"])


def planted(*, gain=0.1, forgets=0.1, controlled=0.2, xi=0.05, exact=1e-15, rough=0.2, seeds=6):
    """What ``kinds`` finds, with these differences between kinds."""
    random = np.random.default_rng(0)

    def one(added, error, own, kept, superposition):
        luck = random.normal(0, 0.01)
        return SimpleNamespace(
            best=0.5,
            added=lambda scale: added + luck,
            disentanglement=lambda: np.array([[error + luck]]),
            forgetting=0.25,
            negated=lambda a=1.0: (luck + (own if a == 1.0 else kept), 0.7),
            superposition=superposition,
        )

    return {
        NONLINEAR: {seed: one(0.8, 0.1, 0.5, 0.6, rough) for seed in range(seeds)},
        LINEARISED: {seed: one(0.8 + gain, 0.1, 0.5 - forgets, 0.6 - controlled, exact) for seed in range(seeds)},
        POST_HOC: {seed: one(0.8, 0.1 - xi, 0.5, 0.6, exact) for seed in range(seeds)},
    }


LAWS = (
    (claim.superposition, {"exact": 1e-6}),
    (claim.no_superposition, {"rough": 1e-3}),
    (claim.adds_better, {"gain": -0.1}),
    (claim.disentangled, {"xi": -0.05}),
    (claim.forgets_better, {"forgets": -0.1}),
    (claim.forgets_better_under_control, {"controlled": -0.2}),
)


@pytest.mark.parametrize(("law", "wrong"), LAWS, ids=lambda one: getattr(one, "name", ""))
def test_planted_sums_agree_and_others_differ(law, wrong, monkeypatch):
    table, verdicts = pd.DataFrame({"outcome": ["converged"], claim.ERROR: [0.1]}), []
    for how in ({}, wrong):
        monkeypatch.setattr(claim, "kinds", lambda table, how=how: planted(**how))
        verdicts += [row.verdict for row in readings(law, table)]
    assert verdicts == [AGREES, DIFFERS]


JOB = (*TINY, "labels=classes", "loss=cross_entropy", "alpha=raw", "alpha.value=1", "centred=false")
JOB = (*JOB, "dataset.classes=[2,3]", "dataset.n_valid=20", "observe.weights=ends", "dynamics.t_end=20")
FLOW = ("dynamics=gradient_flow", "dynamics.stepper=article", "dynamics.eps_gradient=1e-2")


def learn(root, name, parent, *more):
    child = ("seed=from_run", f"seed.run={root / parent}", "seed.head=probe", "dynamics.train=[W0,W1]")
    run(build(composed(*JOB, *child, *more, f"output_dir={root / name}")))
    return root / name


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two parents of two seeds; three tasks of the first by flow and linearised, in a folder each, and of the other."""
    root = tmp_path_factory.mktemp("tasks")
    for name, first in (("pre", 0), ("other", 7)):
        more = (*FLOW, "seed=ensemble", "seed.members=2", f"seed.first={first}", f"output_dir={root / name}")
        run(build(composed(*JOB, *more)))
    for task in ("none", "mirror", "transpose"):
        for dynamics in (FLOW, ("dynamics=linearised",)):
            learn(root, task, "pre", *dynamics, f"dataset.transform={task}")
    return root


def runs(*folders):
    return [one for folder in folders for one in load_sweep(folder).runs]


def test_runs_as_tasks(stored):
    kinds = arithmetic(runs(*(stored / name for name in ("none", "mirror", "transpose"))))
    assert set(kinds) == {NONLINEAR, LINEARISED, POST_HOC}
    assert all(list(seeds) == [0, 1] for seeds in kinds.values())
    for kind, seeds in kinds.items():
        for one in seeds.values():
            assert len(one.tasks) == 3
            assert (one.superposition < 1e-10) == (kind != NONLINEAR)
            if kind == POST_HOC:
                continue
            for task in one.tasks:  # a network's own accuracy is that of its run
                own = task.network.run
                np.testing.assert_allclose(task.outputs(task.vector).numpy(), own.outputs["F_test"], atol=1e-8)
                assert task.accuracy(task.vector) == pytest.approx(1 - own.summary["test/error"])
    one = kinds[NONLINEAR][0]
    assert one.negated(0.0)[0] == pytest.approx(one.negated(0.0)[1])
    assert one.added(one.best, "valid") >= one.added(1.0, "valid")
    assert one.negated(one.forgetting, "valid")[1] >= 0.95 * one.negated(0.0, "valid")[1]


def test_laws_read_the_runs_and_leave_others_alone(stored):
    tables = [with_runs(load_sweep(stored / name)) for name in ("none", "mirror", "transpose", "pre")]
    table = pd.concat(tables, ignore_index=True)
    [exact], [rough] = readings(claim.superposition, table), readings(claim.no_superposition, table)
    assert exact.verdict == AGREES
    assert rough.estimate.value > 1e-6
    for law, _ in LAWS:
        [row] = readings(law, tables[-1])
        assert row.verdict == CANNOT_TELL
        assert "two tasks of one parent" in row.measured


def test_command(stored, tmp_path, capsys):
    folders = [str(stored / name) for name in ("none", "mirror", "transpose")]
    out = [tmp_path / name for name in ("xi.csv", "xi.png")]
    assert main(["tasks", *folders, *(word for path in out for word in ("--out", str(path)))]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for words in ("3 tasks", NONLINEAR, LINEARISED, POST_HOC, "ξ(1, 1)", "superposition error", "best a"):
        assert words in shown
    grid = pd.read_csv(out[0])
    assert list(grid) == ["kind", "a", "b", "xi", "seeds"]
    assert len(grid) == 3 * 25
    assert (grid[(grid["a"] == 0) & (grid["b"] == 0)]["xi"] == 0).all()
    assert out[1].read_bytes().startswith(b"\x89PNG")


def refused(folders, error, sentence):
    with pytest.raises(error, match=sentence):
        arithmetic(runs(*folders))


def test_refusals(stored, tmp_path, capsys):
    mirror = stored / "mirror"
    refused([mirror], ConfigError, "Sums need two tasks")
    refused([mirror, mirror], ConfigError, "are two networks of one task, seed and kind")
    trained = stored / "trained"
    child = ("seed=from_run", f"seed.run={stored / 'pre'}", "seed.head=probe", f"output_dir={trained}")
    run(build(composed(*JOB, *FLOW, *child)))
    refused([mirror, trained], StoreError, r"its head W2 was trained; tasks have heads that stay: name the other")
    refused([mirror, stored / "pre"], StoreError, "its head W2 was trained")
    none = learn(stored, "bare", "pre", *FLOW, "observe.weights=none")
    refused([mirror, none], StoreError, r"has no weights; train it with observe\.weights=ends")
    centred = learn(stored, "centred", "pre", *FLOW, "centred=true")
    refused([mirror, centred], ConfigError, r"train it with centred=false")
    assert main(["tasks", str(mirror), "--out", "xi.txt"]) == 1
    assert "--out xi.txt: the name must end in .png, .pdf, .svg, .csv." in capsys.readouterr().err


def test_other_parents_are_refused(stored):
    """Seeds 7 and 8 of another parent, said to be 0 and 1."""
    other = learn(stored, "strange", "other", *FLOW, "dataset.transform=mirror")
    strangers = runs(other)
    for one in strangers:
        one.manifest["columns"]["seed"] -= 7
    mine = [one for one in runs(stored / "none") if one.config["dynamics"]["kind"] == "gradient_flow"]
    with pytest.raises(StoreError, match=r"start from different weights W0; tasks start from one parent"):
        arithmetic([*mine, *strangers])

"""The table of the systems: what the registries have, sweeps that can be trained, and the commands that read it."""

import importlib
import shutil
from fnmatch import fnmatchcase

import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.commands import main
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.runs.survey import survey
from feature_lazy.settings import registry
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import checked
from feature_lazy.study.law import KINDS, declared
from feature_lazy.study.verdict import ABOVE_ZERO, AGREES, Bound, Expected
from feature_lazy.systems import reproduce
from feature_lazy.systems.table import HERE, LAPTOP, REPLICATION, STATES, Sweep, find, systems
from tests.conftest import ROOT, composed

SYSTEMS = systems()
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.folder)


def module(system):
    return f"feature_lazy.systems.{system.folder}"


def test_a_row_for_every_folder_and_a_folder_for_every_row():
    folders = [path.parent.name for path in HERE.glob("*/__init__.py")]
    assert sorted([system.folder for system in SYSTEMS] + ["commands"]) == sorted(folders)


@every_system
def test_row_says_what_the_registries_have(system):
    home = importlib.import_module(module(system))
    assert system.paper == home.PAPER
    assert home.CLAIM.endswith(".")
    inside = f"{module(system)}."
    groups = registry.groups()
    options = {
        f"{g}={n}" for g in groups for n, made in registry.options(g).items() if made.__module__.startswith(inside)
    }
    assert options == set(system.options)
    laws = {law.name: law for law in declared() if law.module.startswith(inside)}
    assert set(laws) == {claim.law for claim in system.laws}
    for claim in system.laws:
        law = laws[claim.law]
        expected = law.expected if isinstance(law.expected, Expected | Bound) else Expected(law.expected)
        said = (str(expected), 0.0) if isinstance(expected, Bound) else (expected.value, expected.slack)
        assert (claim.expected, claim.tolerance) == said
        assert law.paper == system.paper
        assert law.quiet  # a sweep of something else does not hear of it
        assert set(law.needs) <= set(system.observables)
    assert {name for law in laws.values() for name in law.needs} == set(system.observables)
    assert system.state in STATES
    assert bool(system.laws) == (system.state != "example")
    assert callable(importlib.import_module(f"{module(system)}.claim").draw)


@every_system
def test_sizes_are_those_of_its_sweep(system):
    parts = OmegaConf.load(HERE / system.folder / "experiment.yaml")
    assert list(parts) == [*system.sizes, REPLICATION]
    assert system.sizes[0] == LAPTOP
    assert system.seconds <= 150  # two minutes and a half


def test_a_size_of_several_grids(monkeypatch, tmp_path):
    """What grids have in common, with what each adds; those of another size, or of the replication, in their place."""
    text = """
laptop: {loss: mse, seed.members: 5, grids: [{width.h: 4, dynamics: sgd}, {width.h: "8,16"}]}
paper: {width.h: 32}
replication: {seed.first: 9, grids: [{width.h: 5}]}
"""
    (tmp_path / "ntk").mkdir()
    (tmp_path / "ntk" / "experiment.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("feature_lazy.systems.table.HERE", tmp_path)
    system = find_in(SYSTEMS, "ntk")
    first, second = Sweep(system).grids()
    assert first == ["loss=mse", "dynamics=sgd", "seed.members=5", "width.h=4"]
    assert second == ["loss=mse", "seed.members=5", "width.h=8,16"]
    assert [words[-1] for words in Sweep(system, "paper").grids()] == ["width.h=4", "width.h=8,16"]
    assert Sweep(system, replication=True).grids() == [["loss=mse", "seed.members=5", "seed.first=9", "width.h=5"]]


def test_stages_that_others_start_from(monkeypatch, tmp_path, capsys):
    """Each in a folder below the sweep's own; where one is not done, what starts from it is not begun."""
    text = """
laptop: {loss: mse, grids: [{output_dir: "${folder}/pre", seed: ensemble}, {seed: from_run, seed.run: "${folder}/pre"}]}
"""
    (tmp_path / "ntk").mkdir()
    (tmp_path / "ntk" / "experiment.yaml").write_text(text, encoding="utf-8")
    shutil.copy(HERE / "systems.yaml", tmp_path)
    monkeypatch.setattr("feature_lazy.systems.table.HERE", tmp_path)
    folder = tmp_path / "results"
    (pre, first), (own, second) = Sweep(find_in(SYSTEMS, "ntk")).stages(folder)
    assert (pre, own) == (folder / "pre", folder)
    assert first == ["loss=mse", f"output_dir={folder}/pre", "seed=ensemble"]
    assert second == ["loss=mse", "seed=from_run", f"seed.run={folder}/pre", f"output_dir={folder}"]
    trained = []
    monkeypatch.setattr(reproduce, "train", lambda words: trained.append(words) or True)
    monkeypatch.setattr(reproduce, "unfinished", lambda where: "1 of 2 runs are not done" if where == pre else "")
    assert main(["reproduce", "ntk", f"output_dir={folder}"]) == 1
    assert [words[2] for words in trained] == [f"output_dir={folder}/pre"]
    assert "ntk: 1 of 2 runs are not done; repeat the command" in capsys.readouterr().out


def find_in(rows, name):
    return next(system for system in rows if system.folder == name)


def job(words):
    """The configuration of a sweep's first job."""
    first = []
    for override in OverridesParser.create().parse_overrides(words):
        values = list(override.sweep_string_iterator()) if override.is_sweep_override() else None
        first.append(f"{override.key_or_group}={values[0]}" if values else override.input_line)
    return composed(*checked(first))


def grids_of(sweep):
    """A job of each grid; one that starts from a stage before begins as the first of them does."""
    first, found = [], []
    for grid in sweep.grids():
        words = [word for word in grid if "${folder}" not in word]
        if "labels=distilled" in words:  # of a stage before, too
            words = [word for word in words if not word.startswith(("labels", "loss"))]
        if "seed=from_run" in words:
            words = [word for word in words if not word.startswith("seed")] + first
        else:
            first = [word for word in words if word.startswith("seed")]
        found.append(job(words))
    return found


@every_system
@pytest.mark.parametrize("replication", [False, True])
def test_every_size_can_be_trained(system, replication, monkeypatch, tmp_path):
    for size in system.sizes:
        grids = grids_of(Sweep(system, size, replication))
        for config in grids:
            validate(config)
        # What its laws need is asked for; and the replication shares no seed and no split with the first.
        recorded = {name for config in grids for one in config.observe.also.values() for name in one.quantities}
        for name in system.observables:
            assert any(fnmatchcase(name, pattern) for pattern in {*QUANTITIES, *recorded}), name
    both = (grids_of(Sweep(system, LAPTOP, one)) for one in (False, True))
    for words, plain, other in zip(Sweep(system, LAPTOP).grids(), *both, strict=True):
        assert not set(plain.seed.seeds()) & set(other.seed.seeds())
        splits = next((word.count(",") + 1 for word in words if word.startswith("dataset.seed=")), 1)
        assert max(len(plain.seed.seeds()), splits) >= (1 if "output_dir=${folder}/teacher" in words else 5)
        assert plain.dataset.seed != other.dataset.seed


def test_a_name_that_is_declared_twice_names_both_modules(monkeypatch):
    """An option of a system, and a law, under the name that another has."""
    monkeypatch.setattr(registry, "_options", {group: dict(known) for group, known in registry._options.items()})
    from feature_lazy.settings.groups import Observable
    from feature_lazy.study.law import law
    from feature_lazy.systems.linear_models.claim import gap_against_width

    declared()

    class Twin(Observable):
        """Another."""

    with pytest.raises(ConfigError, match=r"in feature_lazy\.systems\.linear_models\.quantity and in tests\.systems"):
        registry.option("observe/also", "linearised")(Twin)
    with pytest.raises(ConfigError, match=r"in feature_lazy\.systems\.linear_models\.claim and in tests\.systems"):
        law(gap_against_width.name, paper=gap_against_width.paper)(lambda table: None)


def test_listed_within_80_columns(capsys):
    assert main(["systems"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for system in SYSTEMS:
        assert f"{system.folder}  arXiv:{system.paper}  {system.state}" in shown
        assert system.command in shown


@pytest.mark.slow
def test_reproduce_is_the_sweep_and_a_verdict(tmp_path, monkeypatch, capsys):
    """Trained by the ordinary machinery into one folder, judged, and repeated without training anything."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    small = ["width.h=4,8", "seed.members=2", "dataset.n_train=10", "dataset.n_test=10", "observe.kernel.probe=10"]
    small = [*small, "architecture.depth=1", "dynamics.t_end=1"]
    words = [
        "ntk",
        *small,
        "observe/also=[limit,outputs]",
        "observe.also.limit.probe=10",
        "hydra.launcher.n_jobs=1",
        f"output_dir={tmp_path}",
    ]
    status = main(["reproduce", *words])
    shown = capsys.readouterr().out
    assert "feature-lazy train -m loss=mse" in shown
    lines = [line for line in shown.splitlines() if "arXiv:1806.07572" in line and "│" in line]
    rows, laws = [line.split("│")[1].strip() for line in lines], [claim.law for claim in find("ntk").laws]
    needing = laws[-2:]  # 8 seeds, for a Gaussian process beside them
    assert rows == laws[:-2]
    assert f"8 seeds at one width: {'; '.join(needing)}." in " ".join(shown.split())
    agreed = all("agrees" in line for line in lines)
    assert status == (0 if agreed else 1)
    runs = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len(runs) == 8  # of two grids
    assert len(survey(tmp_path).entries) == 8
    assert main(["reproduce", *words]) == status
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == runs
    (next((tmp_path / "runs").iterdir()) / "done").unlink()
    from feature_lazy.systems.reproduce import unfinished

    assert unfinished(tmp_path) == "1 of 8 runs are not done"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nkt"], "nkt: there is no such system; there are linear_models, ntk"),
        (["ntk", "size=huge"], "size=huge: ntk has the sizes laptop, paper."),
        (["size=paper"], "Name a system"),
        (["ntk", "replication=maybe"], "replication=maybe: must be true or false."),
        (["ntk", "linear_models", "output_dir=x"], "several systems cannot share a folder"),
    ],
)
def test_refusals(words, sentence, capsys):
    assert main(["reproduce", *words]) == 1
    assert sentence in capsys.readouterr().err


def law_of(across):
    """A law that says how many runs it was given."""
    from feature_lazy.study.estimate import Estimate
    from feature_lazy.study.law import Law

    def count(table):
        return Estimate(len(table), 0.5, 3) if len(table) > 1 else None

    return Law("runs", "0", "", (), count, ABOVE_ZERO, outcomes=(), across=across)


@pytest.mark.parametrize(("across", "counted"), [("", [2, 3]), (KINDS, [9])])
def test_a_law_is_judged_on_each_kind_that_shows_it_or_on_all(across, counted, monkeypatch, tmp_path):
    """A sweep of several kinds: those without what a law needs are silent, what is alike is said of what is common."""
    names = {"P = 2, f = [1, 2]": 2, "P = 3, f = [1, 2]": 3, "P = 1": 1, "P = 3, f = [1, 3]": 3}
    kinds = {name: pd.DataFrame({"outcome": ["converged"] * n}) for name, n in names.items()}
    monkeypatch.setattr(reproduce, "parts", lambda folder, mixed: kinds)
    rows = reproduce._of_kinds(law_of(across), tmp_path)
    assert [row.estimate.value for row in rows] == counted
    assert [row.where for row in rows] == (["P = 2, f = [1, 2]", "P = 3"] if not across else [""])
    assert {(row.expected, row.verdict) for row in rows} == {(str(ABOVE_ZERO), AGREES)}

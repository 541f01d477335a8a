"""A run is known by its science: all of it, and nothing else."""

import dataclasses
import random

import pytest

from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.measure.when import ListedObserve
from feature_lazy.runs.from_run import FromRun
from feature_lazy.settings import cells as module
from feature_lazy.settings import registry
from feature_lazy.settings.cells import (
    alpha,
    cells,
    option_versions,
    run_id,
    science_key,
    scientific,
    sqrt_h_alpha,
)
from feature_lazy.settings.config import Config
from feature_lazy.settings.key import key
from feature_lazy.settings.scales import EnsembleSeed, GeometricWidth, RawAlpha, RescaledAlpha, SingleSeed, UniformWidth
from feature_lazy.settings.schema import GROUPS
from feature_lazy.systems.distillation.option import Distilled


def identity(config):
    [cell] = cells(config)
    return cell.run_id


def leaves(node, path=(), science=True):
    """Every value of a configuration: its path, its field, and whether it is scientific."""
    for f in dataclasses.fields(node):
        value, of_science = getattr(node, f.name), science and f.metadata.get("science", True)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, (*path, f.name), of_science)
        elif f.metadata.get("choices") is None or len(f.metadata["choices"]) > 1:
            yield (*path, f.name), f, of_science


def other(value, field):
    """A value that differs and has the same type."""
    if choices := field.metadata.get("choices"):
        return next(choice for choice in choices if choice != value)
    if field.name == "target" and isinstance(value, str):
        return "tests.arrays.normal"  # its source is part of the identity, so it must be there
    changes = {
        bool: lambda v: not v,
        int: lambda v: v + 2,
        float: lambda v: v * 1.25 + 0.125,
        list: lambda v: [*v, type(v[0])(7) if v else 7.0],
        dict: lambda v: {**v, "key": 1},
    }
    return changes.get(type(value), lambda v: f"{v}x")(value)


def changed(node, path, field):
    """A copy of a configuration with another value at a path."""
    name, *rest = path
    value = getattr(node, name)
    return dataclasses.replace(node, **{name: changed(value, rest, field) if rest else other(value, field)})


# Several cells: below. Known by a stored run: runs/test_from_run.py, systems/test_distillation.py.
APART = (EnsembleSeed, FromRun, Distilled)
OPTIONS = [Config()]
OPTIONS += [
    dataclasses.replace(Config(), **{group: option()})
    for group in GROUPS
    for option in registry.options(group).values()
    if option not in APART
]
LEAVES = {
    f"{type(config.loss).__name__}-{'.'.join(path)}": (config, path, field, science)
    for config in OPTIONS
    for path, field, science in leaves(config)
}


@pytest.mark.parametrize("name", LEAVES)
def test_every_scientific_value_and_no_other_is_part_of_the_identity(name):
    config, path, field, science = LEAVES[name]
    assert (identity(changed(config, path, field)) != identity(config)) == science


def test_what_is_not_science():
    """Named here so that a field which loses or gains ``science=False`` by accident is noticed."""
    found = {".".join(path) for path, _, science in leaves(Config()) if not science}
    budgets = {"dynamics.max_steps", "dynamics.time_budget"}
    where = {
        "device",
        "threads",
        "batch",
        "memory_limit",
        "output_dir",
        "checkpoint_every",
        "checkpoint_margin",
        "options",
    }
    assert found == budgets | where | {"observe.also", "observe.weights"}


@pytest.mark.parametrize("group", GROUPS)
def test_options_of_a_family_differ_unless_they_are_tracking(group):
    options = [option() for option in registry.options(group).values() if option not in APART]
    ids = {identity(dataclasses.replace(Config(), **{group: option})) for option in options}
    assert len(ids) == (1 if group == "tracking" else len(options))


def test_order_of_keys_does_not_matter():
    def shuffled(value):
        if not isinstance(value, dict):
            return value
        items = list(value.items())
        random.Random(1).shuffle(items)
        return {key: shuffled(item) for key, item in items}

    science = scientific(Config())
    assert list(shuffled(science)) != list(science)
    assert run_id(shuffled(science)) == run_id(science)


@pytest.mark.parametrize("written", ["1", "1.0", "1e0", "10e-1"])
def test_writing_of_numbers_does_not_matter(configure, written):
    plain = configure("alpha.value=1.0", "observe=times", "observe.times=[1.0,2.0]")
    other_writing = configure("observe=times", f"observe.times=[{written},2]", f"alpha.value={written}")
    assert identity(other_writing) == identity(plain)


def test_integers_in_python_are_taken_for_floats():
    def config(one):
        return Config(alpha=RescaledAlpha(value=one), observe=ListedObserve(times=[one]))

    assert identity(config(1)) == identity(config(1.0))


def test_python_and_command_line_agree(configure):
    assert identity(configure()) == identity(Config())


def test_members_of_an_ensemble_are_the_single_runs():
    ensemble = cells(Config(seed=EnsembleSeed(members=3, first=2)))
    assert [cell.seed for cell in ensemble] == [2, 3, 4]
    singles = [identity(Config(seed=SingleSeed(value=seed))) for seed in (2, 3, 4)]
    assert [cell.run_id for cell in ensemble] == singles


def test_science_version_is_part_of_the_identity(monkeypatch):
    before = identity(Config())
    monkeypatch.setattr(module, "SCIENCE_VERSION", module.SCIENCE_VERSION + 1)
    assert identity(Config()) != before


def test_units_of_alpha():
    raw = Config(alpha=RawAlpha(value=0.5), width=UniformWidth(h=16))
    assert (alpha(raw), sqrt_h_alpha(raw)) == (0.5, 2.0)
    rescaled = Config(alpha=RescaledAlpha(value=0.5), width=UniformWidth(h=16))
    assert (alpha(rescaled), sqrt_h_alpha(rescaled)) == (0.125, 0.5)
    # h is the fan-in of the output layer: 16·2² with three layers.
    geometric = Config(alpha=RescaledAlpha(value=0.5), width=GeometricWidth(h=16, growth=2.0))
    assert geometric.width.of(3) == [16, 32, 64]
    assert alpha(geometric) == 0.5 / 8


def declared(name, default, **flags):
    """A dataclass with one key, and its scientific part for a value."""

    def of(value):
        made = dataclasses.make_dataclass("Made", [(name, type(default), key(default, "a key", **flags))])
        return scientific(made(value))

    return of


@pytest.mark.parametrize("default", [1.0, [1, 2], {"a": 1}, "word"], ids=str)
def test_a_later_key_is_absent_at_its_default(default):
    """A default that is made for each configuration anew, such as a list, is compared by its value."""
    of = declared("new", default, later=True)
    assert of(default) == {}
    other = {float: 2.0, list: [2, 1], dict: {"a": 2}, str: "other"}[type(default)]
    assert of(other) == {"new": other}


def test_a_list_whose_order_means_nothing_is_sorted():
    assert declared("names", ["b", "a"], unordered=True)(["c", "a"]) == {"names": ["a", "c"]}
    assert declared("names", ["b", "a"])(["c", "a"]) == {"names": ["c", "a"]}


def test_lists_keep_their_types():
    """Only what is declared as floats is made floats."""
    made = dataclasses.make_dataclass(
        "Made", [(f"of_{t.__name__}", list[t], key([], "a list")) for t in (int, float, str)]
    )
    assert scientific(made([1], [1], ["1"])) == {"of_int": [1], "of_float": [1.0], "of_str": ["1"]}


def test_a_group_that_came_later_is_absent_at_its_default_option():
    """So runs that were stored before there was the group keep their ids; budgets, which are no science, count not."""
    base = dataclasses.make_dataclass(
        "Base", [("strength", float, key(0.0, "λ")), ("steps", int, key(9, "", science=False))]
    )
    other = dataclasses.make_dataclass("Other", [("strength", float, key(1.0, "λ"))], bases=(base,))
    root = dataclasses.make_dataclass(
        "Root", [("new", base, dataclasses.field(default_factory=base, metadata={"group": "new", "later": True}))]
    )
    assert scientific(root()) == scientific(root(base(steps=3))) == {}
    assert scientific(root(other())) == {"new": {"strength": 1.0}}
    assert scientific(root(base(strength=0.5))) == {"new": {"strength": 0.5}}


def test_a_version_of_an_option_counts_from_two_on(monkeypatch):
    before = identity(Config())
    monkeypatch.setattr(SoftHinge, "version", 1)
    assert identity(Config()) == before
    monkeypatch.setattr(SoftHinge, "version", 2)
    assert identity(Config()) != before
    assert scientific(Config())["loss"]["version"] == 2


def test_the_version_of_a_flow_is_that_of_its_stepper(configure):
    """Only steps that are made otherwise than before have another identity."""
    versions = {
        (dynamics, stepper): scientific(configure(f"dynamics={dynamics}", f"dynamics.stepper={stepper}"))[
            "dynamics"
        ].get("version", 1)
        for dynamics, stepper in (
            ("gradient_flow", "auto"),
            ("gradient_flow", "article"),
            ("gradient_flow", "tangent"),
            ("frozen_kernel", "rk32"),
            ("momentum_flow", "auto"),
        )
    }
    assert list(versions.values()) == [3, 1, 3, 2, 3]


def test_the_key_that_tells_older_runs_knows_no_versions(monkeypatch):
    key, versions = science_key(scientific(Config())), option_versions(scientific(Config()))
    monkeypatch.setattr(SoftHinge, "version", 3)
    assert science_key(scientific(Config())) == key
    assert option_versions(scientific(Config())) == {**versions, "loss": 3}

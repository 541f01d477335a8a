"""Keys that a network does not read: refused where a person wrote them, empty in tables, and no change of ids."""

from dataclasses import replace

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.activations import Relu
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.settings import overrides
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import checked, composed
from tests.runs.conftest import DESCRIPTION, save

OWN = ["architecture=custom", "architecture.target=tests.dynamics.conftest.Flow"]


@pytest.mark.parametrize(
    "written", ["activation=relu", "activation=softplus", "activation.beta=3", "activation=relu,gelu"]
)
@pytest.mark.parametrize("order", [1, -1])
def test_they_are_refused_where_they_are_written(written, order):
    with pytest.raises(ConfigError) as refusal:
        checked([*OWN, written][::order])
    assert str(refusal.value) == (
        f"{written}: architecture=custom has activations of its own; leave activation out, which changes nothing."
    )


def test_so_is_a_parametrisation():
    with pytest.raises(ConfigError, match="parametrisation=mup: architecture=custom scales its own weights; leave"):
        composed([*OWN, "parametrisation=mup"])


@pytest.mark.parametrize(
    "line",
    [
        [*OWN],
        ["activation=relu"],
        ["architecture=custom,fully_connected", OWN[1], "activation=relu"],
        ["architecture=cnn", "activation=relu"],
    ],
    ids=" ".join,
)
def test_what_somebody_reads_is_not(line):
    checked(line)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("  - override /activation: relu", "experiment=mine, activation=relu"),
        ("  - _self_\nactivation:\n  beta: 3", "experiment=mine, activation.beta"),
        ("  - base", "experiment=mine, activation=gelu"),
    ],
)
def test_an_experiment_that_chooses_its_network_is_written_by_a_person_too(tmp_path, monkeypatch, written, said):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "base.yaml").write_text("defaults:\n  - override /activation: gelu\n")
    own = "defaults:\n  - override /architecture: custom\n"
    (folder / "mine.yaml").write_text(f"{own}{written}\n")
    (folder / "plain.yaml").write_text(own)
    monkeypatch.setattr(overrides, "config_dir", lambda: tmp_path)
    with pytest.raises(ConfigError) as refusal:
        checked(["experiment=mine", OWN[1]])
    assert str(refusal.value).startswith(f"{said}: architecture=custom has activations of its own; leave activation")
    # For a network of the command line it was not written.
    checked(["experiment=mine", "architecture=cnn"])
    checked(["experiment=mine", *OWN])
    checked(["experiment=plain", OWN[1]])


def test_ids_stay_and_a_stored_run_that_has_one_goes_on():
    config = composed(OWN)
    other = replace(config, activation=Relu(kind="relu"))
    [one], [old] = cells(config), cells(other)
    validate(other)
    assert one.run_id != old.run_id
    assert one.config["activation"]["kind"] == "softplus"


def test_they_are_empty_in_tables(store):
    for number, cell in enumerate(cells(composed([*OWN, "seed=ensemble", "seed.members=2"])) + cells(composed([]))):
        save(store, run_id=f"run{number}", description={**DESCRIPTION, "columns": cell.columns})
    table = load_sweep(store.root).table.set_index("run_id")
    for name, value in (("activation", "softplus"), ("parametrisation", "ntk")):
        assert table[name].isna().to_dict() == {"run0": True, "run1": True, "run2": False}
        assert table[name]["run2"] == value

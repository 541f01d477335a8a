"""The W&B dashboard: what its panels refer to exists in a real run, it is the same each time, and needs no account."""

import json
import re
import socket

import pytest

from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from tests.conftest import QUICK
from tests.study.wandb_accounts import dashboard

OWN = {"_runtime", "group", "duration", "displayName"}
"""What W&B itself knows of a run."""


def dry_run(capsys, *arguments):
    """What would be saved."""
    assert main(["dashboard", "laziness", *arguments, "--dry-run"]) == 0
    return json.loads(capsys.readouterr().out)


def nodes(spec):
    """Every dictionary of a specification."""
    if isinstance(spec, dict):
        yield spec
    for child in spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ():
        yield from nodes(child)


def panels(spec, kind):
    """Settings of all panels of a kind by their title."""
    return {node["config"]["chartTitle"]: node["config"] for node in nodes(spec) if node.get("viewType") == kind}


def lines(spec):
    return panels(spec, "Run History Line Plot")


def scatters(spec):
    return panels(spec, "Scatter Plot")


def run_sets(spec):
    """All run sets by their name."""
    return {node["name"]: node for node in nodes(spec) if "runFeed" in node}


def references(spec):
    """All keys that a specification refers to, by section; config keys without W&B's ``.value``."""
    found = {"history": set(), "config": set(), "summary": set(), "run": set()}
    for config in lines(spec).values():
        found["history"] |= {config["xAxis"], *config["metrics"]}
    columns = [config[axis] for config in scatters(spec).values() for axis in ("xAxis", "yAxis", "zAxis")]
    for runs in run_sets(spec).values():
        columns += runs["runFeed"]["columnOrder"]
        keys = [*runs["grouping"], *(one["key"] for one in [*runs["sort"]["keys"], *runs["filters"]["filters"]])]
        columns += [f"{key['section']}:{key['name']}" for key in keys]
    for column in columns:
        section, name = column.split(":")
        found[section].add(name.removesuffix(".value"))
    return found


def logged(tiny, *overrides):
    """Keys of a real run, which tracking shows as they are (``test_tracking``)."""
    [stored] = run(build(tiny(*QUICK, *overrides)))
    return {"history": set(stored.history), "config": set(stored.columns), "summary": set(stored.summary)}


def test_every_key_of_every_panel_is_one_of_a_real_run(tiny, capsys):
    there, wanted = logged(tiny), references(dry_run(capsys, "--sweep", "demo"))
    assert {section: names - there.get(section, set()) - OWN for section, names in wanted.items()} == {
        section: set() for section in wanted
    }
    assert {section: len(names) > 2 for section, names in wanted.items()} == dict.fromkeys(wanted, True)


def test_panels_of_each_layer_and_eigenvalue_show_those_and_nothing_else(tiny, capsys):
    there = logged(tiny, "observe.kernel.eigenvalues=2", "observe.kernel.layers=true")["history"]
    patterns = {c["metricRegex"] for c in lines(dry_run(capsys)).values() if c.get("useMetricRegex")}
    shown = sorted(sorted(name for name in there if re.search(pattern, name)) for pattern in patterns)
    assert shown == [
        ["kernel/W0/change", "kernel/W1/change", "kernel/W2/change"],
        ["kernel/eigenvalue_1", "kernel/eigenvalue_2"],
        ["weights/W0/change", "weights/W1/change", "weights/W2/change"],
    ]


def test_phase_diagram_has_logarithmic_axes_and_its_middle_colour_at_the_boundary(capsys):
    plots = scatters(dry_run(capsys, "--workspace"))
    for title, x in (("α and h", "alpha"), ("√h·α and h", "sqrt_h_alpha")):
        change, error = plots[f"Kernel change over {title}"], plots[f"Test error over {title}"]
        for plot in (change, error):
            assert (plot["xAxis"], plot["yAxis"]) == (f"config:{x}.value", "config:h.value")
            assert plot["xAxisLogScale"]
            assert plot["yAxisLogScale"]
        assert (change["zAxis"], error["zAxis"]) == ("summary:kernel/change", "summary:test/error")
        assert change["zAxisLogScale"]
        assert change["zAxisMin"] * change["zAxisMax"] == pytest.approx(1)
        blue, white, red = (point["color"] for point in change["customGradient"])
        assert [point["offset"] for point in change["customGradient"]] == [0, 50, 100]
        assert blue[5:] > blue[1:3]
        assert white == "#f7f7f7"
        assert red[1:3] > red[5:]


def test_curves_are_means_over_the_seeds_of_a_cell_against_log_t(capsys):
    spec = dry_run(capsys)
    wall = lines(spec).pop("Training time t against wall time")
    assert (wall["xAxis"], wall["metrics"], wall["xLogScale"]) == ("_runtime", ["t"], False)
    for title, config in lines(spec).items():
        assert title == "Training time t against wall time" or (config["xAxis"] == "t" and config["xLogScale"]), title
        assert (config["groupAgg"], config["groupArea"], config["smoothingType"]) == ("mean", "stderr", "none")
        # "error" and "margin" may be 0 or negative, an alignment is a number of order 1.
        assert config["yLogScale"] == (not re.search("error|margin|Alignment", title)), title
    cell = [{"section": "config", "name": "sqrt_h_alpha.value"}, {"section": "config", "name": "h.value"}]
    grouped = {name: runs["grouping"] for name, runs in run_sets(spec).items()}
    assert grouped == {"Run set": cell, "feature training": cell, "lazy training": cell, "all runs": []}
    for runs in run_sets(spec).values():
        order = [(key["key"]["name"], key["ascending"]) for key in runs["sort"]["keys"]]
        assert order == [("h", True), ("alpha", True)]


def test_sections_of_the_workspace_and_of_the_report(capsys):
    spec = dry_run(capsys, "--sweep", "demo")
    themes = ["Phase diagram", "Kernel", "Weights", "Outputs", "Losses and errors", "Speed"]
    sections = spec["workspace"]["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == themes
    blocks = spec["report"]["spec"]["blocks"]
    headings = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert headings == ["How to read it", *themes, "Runs", "Where they come from"]
    assert set(scatters(spec["report"])) == set(scatters(spec["workspace"]))
    assert set(lines(spec["report"])) == set(lines(spec["workspace"]))
    assert spec["report"]["displayName"] == spec["workspace"]["displayName"] == "Lazy or feature training, demo"
    assert "group `demo`" in blocks[-2]["content"]


def test_report_has_a_set_of_runs_for_each_regime(capsys):
    sets = run_sets(dry_run(capsys, "--report", "--sweep", "demo"))
    sides = {"feature training": (">=", 1), "lazy training": ("<=", 1)}
    for name, side in sides.items():
        group, change = sets[name]["filters"]["filters"]
        assert (group["key"]["name"], group["value"]) == ("group", "demo")
        assert change["key"] == {"section": "summary", "name": "kernel/change"}
        assert (change["op"], change["value"]) == side
        assert change["connector"] == "AND"


@pytest.mark.parametrize(
    "sweep", ["demo", "P=10,h<3", "it's \"a\" \\ 'name'", "α* or √β", "a" * 200, "x and Metric('a') == 'b'"]
)
def test_any_name_of_a_sweep_is_a_filter_for_it_alone(capsys, sweep):
    """W&B turns filters into code and back, and refuses titles with symbols or of more than 128 characters."""
    sets = run_sets(dry_run(capsys, "--sweep", sweep))
    for name in ("Run set", "all runs"):
        [one] = sets[name]["filters"]["filters"]
        assert (one["key"], one["op"], one["value"]) == ({"section": "run", "name": "group"}, "=", sweep)


def test_without_a_sweep_all_runs_are_shown(capsys):
    sets = run_sets(dry_run(capsys))
    assert sets["Run set"]["filters"]["filters"] == sets["all runs"]["filters"]["filters"] == []


def test_dry_run_uses_no_network_and_is_the_same_in_every_process(capsys, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a connection")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr("wandb.Api", refuse)
        here = dry_run(capsys, "--entity", "team", "--sweep", "demo")
    other = dashboard(tmp_path, "laziness", "--sweep", "demo", "--dry-run", str(tmp_path / "spec.json"))
    assert (other.returncode, other.stdout, other.stderr) == (0, "", "")
    assert json.loads((tmp_path / "spec.json").read_text(encoding="utf-8")) == here
    ids = [node["__id__"] for node in nodes(here["workspace"]) if "__id__" in node]
    assert len(set(ids)) == len(ids) > 30

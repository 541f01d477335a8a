"""Write the golden files anew: python -m tests.pins.make [ids] [experiments] [histories] [tracked] [stored] …"""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from tests.conftest import ROOT
from tests.pins import cases, golden, ways
from tests.runs.wandb_files import offline_runs, settle


def ids():
    with tempfile.TemporaryDirectory() as folder, ways.own_code(Path(folder)):
        jobs, found = ways.Jobs(), {}
        for name, overrides in cases.IDS.items():
            [config] = jobs.of(overrides)
            ways.validate(config)
            found[name] = ways.identity(config)
        golden.write("ids", found)
        command = [ways.identity(config) for config in jobs.of(cases.COMMAND)]
        golden.write("command", {run: one["columns"][i] for one in command for i, run in enumerate(one["run_ids"])})
    seen = " ".join(cases.IDS)
    for row in ways.documented_keys():
        if f"{row.group}.{row.key}=".removeprefix(".") not in seen:
            print(f"not pinned: {row.title} {row.key}")


def experiments():
    golden.write("experiments", {name: golden.sweep(name) for name in golden.experiments()})


def histories():
    with tempfile.TemporaryDirectory() as folder, ways.own_code(Path(folder)):
        found = {}
        for name, overrides in cases.HISTORIES.items():
            config = ways.composed([*overrides, f"output_dir={folder}/results"])
            found[name] = [golden.of_run(run) for run in ways.trained(config)]
    golden.write("histories", found)


def tracked():
    import wandb

    found = {}
    for name, overrides in cases.TRACKED.items():
        with tempfile.TemporaryDirectory() as folder:
            settle(folder)
            ways.trained(ways.composed([*overrides, f"output_dir={folder}/results"]))
            wandb.teardown()
            runs = offline_runs(Path(folder) / "results")
            found[name] = [golden.of_tracked(written) for _, [written] in sorted(runs.items())]
    golden.write("tracked", found)


def stored():
    """A folder with a run that is done and one that a budget stopped, written without a path of this machine."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        jobs = [ways.composed([*one, "output_dir=stored"]) for one in (cases.DONE, (*cases.STOPPED, cases.BUDGET))]
        ways.write_plan(Path("stored"), jobs)
        for config in jobs:
            ways.trained(config)
        shutil.rmtree(ways.DATA / "stored", ignore_errors=True)
        shutil.copytree("stored", ways.DATA / "stored")


def schema1():
    """As the first version stored it."""
    done = ways.load_run(ROOT / "tests" / "data" / "schema1" / "runs" / "007dd0f251fa633f")
    golden.write("schema1", {"done": [golden.of_run(done)]})


if __name__ == "__main__":
    for part in sys.argv[1:] or ("ids", "experiments", "histories", "tracked", "stored", "schema1"):
        {f.__name__: f for f in (ids, experiments, histories, tracked, stored, schema1)}[part]()

"""Options from outside the repository: of any group, by a module's name or a plug-in, without a file edited here."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.slurm.snapshot import freeze
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.store import Store
from feature_lazy.settings import registry
from feature_lazy.settings.cells import cells, targets
from feature_lazy.settings.checks import validate
from feature_lazy.settings.help import help_text
from feature_lazy.settings.overrides import checked
from feature_lazy.settings.registry import option
from feature_lazy.settings.schema import from_plain, register
from tests.conftest import QUICK, ROOT, TINY, composed
from tests.processes import there
from tests.settings.outside import CHOICES, MODULE

JOB = tuple(one for one in (*TINY, *QUICK) if not one.startswith("architecture"))
"""A tiny job whose architecture can be another one."""
FLOW = {"optimiser": ("dynamics.updates=40",), "dynamics": ()}
"""What keeps a job of some kinds short; of the others the dynamics is ``QUICK``."""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The module of a user's own on Python's path; what it declares is forgotten afterwards."""
    (tmp_path / "own_options.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    registry.discover()
    monkeypatch.setattr(registry, "_options", {group: dict(known) for group, known in registry._options.items()})
    monkeypatch.setitem(sys.modules, "own_options", None)
    del sys.modules["own_options"]
    registry.discover(["own_options"])
    register()
    return tmp_path


def job(kind, folder, *overrides):
    """The configuration of a tiny job with a user's own option of some kind."""
    shared = [one for one in JOB if kind not in FLOW or not one.startswith("dynamics")]
    keys = (*CHOICES[kind], *FLOW.get(kind, ()))
    return composed(*shared, "options=[own_options]", *keys, f"output_dir={folder}", *overrides)


@pytest.mark.parametrize("kind", CHOICES)
def test_an_option_from_outside_trains_stops_resumes_and_is_known_again(own, kind):
    whole = job(kind, own / "whole")
    validate(whole)
    [run_id] = train_config(whole)
    expected = load_run(own / "whole" / "runs" / run_id)
    assert expected.done
    history = expected.path / "history.jsonl"
    # The stored configuration says where the option is from, and is enough to train it again.
    again = from_plain(expected.manifest["resolved"], trusted=True)
    assert again == whole
    assert cells(again)[0].run_id == run_id
    # Stopped and resumed: bit for bit the same.
    for budget in ("3", "1000000"):
        assert train_config(job(kind, own / "parts", f"dynamics.max_steps={budget}")) == [run_id]
    parts = load_run(own / "parts" / "runs" / run_id)
    assert parts.done
    assert (parts.path / "history.jsonl").read_bytes() == history.read_bytes()
    before = history.stat().st_mtime_ns
    assert train_config(whole) == [run_id]
    assert history.stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", [kind for kind in CHOICES if kind != "tracking"])
def test_source_and_keys_of_an_option_from_outside_are_part_of_the_identity(own, kind):
    config = job(kind, own)
    key = CHOICES[kind][1].partition("=")[0]
    [before] = cells(config)
    assert before.code
    other = {"true": "false", "false": "true"}.get(CHOICES[kind][1].partition("=")[2], "3")
    assert cells(job(kind, own, f"{key}={other}"))[0].run_id != before.run_id
    assert f"own_options.{type(getattr(config, CHOICES[kind][0].partition('=')[0])).__name__}" in targets(config)
    (own / "own_options.py").write_text(MODULE + "\n# Changed.\nCHANGED = 1\n")
    assert cells(job(kind, own))[0].run_id != before.run_id


def test_a_tracker_from_outside_is_no_part_of_the_identity_and_hears(own):
    config = job("tracking", own / "results")
    [cell] = cells(config)
    assert cell.code == []
    train_config(config)
    words = (own / "heard").read_text().split("\n")
    assert words[0] == f"start {cell.run_id} 0"
    assert words[-2] == f"finish {cell.run_id} converged"
    several = composed(*JOB, "options=[own_options]", "tracking=several", "tracking.sinks=[jsonl,own_tracker]")
    validate(several)
    assert [one.kind for one in several.tracking.each()] == ["jsonl", "own_tracker"]


def test_options_from_outside_are_in_the_help(own):
    text = help_text()
    for choice, value in CHOICES.values():
        assert choice.partition("=")[2] in text
        about = help_text([choice])
        assert f"{value.split('.')[1].partition('=')[0]}=" in about


def test_from_the_command_line_sweeps_are_killed_and_go_on(own):
    """All of them at once, as a user calls it: help, a sweep that is killed, and the same command again."""
    environment = {**os.environ, "PYTHONPATH": str(own), "OMP_NUM_THREADS": "1"}
    chosen = [word for kind, words in CHOICES.items() if kind != "dynamics" for word in words]
    shared = [one for one in JOB if not one.startswith(("dynamics", "alpha"))]
    command = [sys.executable, str(ROOT / "train.py"), "-m", "options=[own_options]", *shared, *chosen]
    command += ["alpha.value=1,10", f"output_dir={own}/results", "checkpoint_every=0.01", "dynamics.updates=1000"]
    process = subprocess.Popen(command, env=environment, cwd=own, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not there(own, "results/runs/*/checkpoint-*"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environment, cwd=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [load_run(folder) for folder in (own / "results" / "runs").iterdir()]
    assert [run.done for run in runs] == [True, True]
    assert {run.columns["activation"] for run in runs} == {"own_activation"}
    helped = [sys.executable, str(ROOT / "train.py"), "--help", "options=[own_options]", "loss=own_loss"]
    assert "s=3.0" in subprocess.run(helped, env=environment, capture_output=True, text=True, check=True).stdout


def test_queued_jobs_carry_the_modules_of_options(own):
    """Those that are chosen, and those that are only named, for a job imports them all."""
    (own / "more_options.py").write_text(MODULE.replace('"own_', '"more_').replace("OwnLoss", "MoreLoss"))
    config = job("loss", own, "options=[own_options,more_options]")
    folder = freeze(own / "results", targets(config))
    for name in ("own_options", "more_options"):
        assert [path.read_bytes() for path in folder.rglob(f"{name}.py")] == [(own / f"{name}.py").read_bytes()]


def test_a_folder_with_an_option_that_is_gone_is_readable_and_says_which(own, monkeypatch):
    config = job("loss", own / "results")
    [run_id] = train_config(config)
    known = {group: {n: c for n, c in found.items() if n != "own_loss"} for group, found in registry._options.items()}
    monkeypatch.setattr(registry, "_options", known)
    (own / "own_options.py").unlink()
    sys.modules.pop("own_options")
    run = Store(own / "results").load(run_id)
    assert run.columns["loss"] == "own_loss"
    assert len(run.history["t"]) > 1
    with pytest.raises(ConfigError, match="own_options"):
        from_plain(run.manifest["resolved"], trusted=True)
    with pytest.raises(ConfigError, match=r"has loss=own_loss, which this version does not know.*soft_hinge"):
        from_plain({**run.manifest["resolved"], "options": []})


def test_two_options_of_one_name_are_refused_and_both_modules_named(own):
    (own / "other_options.py").write_text(MODULE.replace("class OwnLoss", "class OtherLoss"))
    with pytest.raises(ConfigError, match="own_options") as refusal:
        registry.discover(["other_options"])
    assert "other_options" in str(refusal.value)


def test_a_method_that_is_missing_is_refused_where_the_option_is_declared(own):
    from feature_lazy.settings.groups import Loss

    with pytest.raises(TypeError, match=r"loss=half \(.*Half\) lacks __call__"):

        @option("loss", "half")
        class Half(Loss):
            pass


@pytest.mark.parametrize(
    ("module", "text", "fragments"),
    [
        ("nowhere_options", None, ["options=[nowhere_options]", "ModuleNotFoundError", "PYTHONPATH"]),
        ("broken_options", "1 / 0", ["options=[broken_options]", "ZeroDivisionError"]),
        ("empty_options", "", ["options=[empty_options]", "declares no option"]),
    ],
)
def test_a_module_that_is_no_module_of_options_is_refused(own, module, text, fragments):
    if text is not None:
        (own / f"{module}.py").write_text(text)
    with pytest.raises(ConfigError) as refusal:
        checked([f"options=[{module}]"])
    assert all(fragment in str(refusal.value) for fragment in fragments)


def distribution(folder, name, module):
    """What an installed package leaves behind: its metadata, with an entry point."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.ENTRY_POINT}]\n{name} = {module}\n")


def test_a_plug_in_is_found_and_one_that_fails_is_named_when_it_is_asked_for(tmp_path):
    (tmp_path / "good_options.py").write_text(MODULE)
    (tmp_path / "bad_options.py").write_text("raise RuntimeError('no such wind')")
    for name in ("good", "bad"):
        distribution(tmp_path, name, f"{name}_options")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def call(*arguments):
        command = [sys.executable, str(ROOT / "train.py"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    assert "own_loss" in call("--help").stdout
    unknown = call("loss=windy")
    assert unknown.returncode != 0
    assert "The plug-in bad (bad_options) could not be imported: RuntimeError: no such wind." in unknown.stderr
    # Nobody else hears of it.
    composed = call("--cfg", "job", "loss=own_loss")
    assert composed.returncode == 0, composed.stderr
    assert "wind" not in composed.stdout + composed.stderr
    assert "s: 3.0" in composed.stdout


def test_option_files_are_light():
    """All of them in a fresh process: what a command line and the parent of a sweep wait for."""
    code = (
        "import sys; from feature_lazy.settings import registry; registry.discover()\n"
        "print([name for name in ('torch', 'scipy', 'sklearn', 'pandas', 'wandb') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert shutil.which("git")


def test_threads_see_all_options_or_wait():
    """In a fresh process: eight threads ask at once, and each is given every activation."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor; from feature_lazy.settings import registry\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    found = list(pool.map(lambda _: len(registry.options('tracking')), range(8)))\n"
        "print(min(found) == max(found) >= 7)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"

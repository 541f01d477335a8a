"""What people type and where it is printed: flags and sweeps as Hydra has them, errors once, any terminal."""

import io
import os
import re
import subprocess
import sys

import pytest

from analysis.__main__ import main as article
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.redaction import log_lines
from feature_lazy.core.words import any_terminal, counted
from feature_lazy.launch import train
from feature_lazy.launch.commands import main
from feature_lazy.settings.overrides import check_chosen, check_overrides, checked, flags_first
from tests.conftest import ROOT, TINY
from tests.study.stored_sweeps import plant

SHORT = (*TINY, "observe.kernel.probe=0", "dynamics.max_steps=1")
BROKEN = ("architecture=custom", "architecture.target=collections.Counter")
SENTENCE = "the target returns Counter; it must return a torch.nn.Module"


@pytest.mark.parametrize(
    ("given", "ready"),
    [
        ("a=1 -m b=2", "-m a=1 b=2"),
        ("a=1 --cfg job b=2 --resolve", "--cfg job --resolve a=1 b=2"),
        ("-cn train a=1 -m", "-cn train -m a=1"),
        ("a=1 a=1 -m a=1", "-m a=1 a=1 a=1"),
        ("a=1 --no-such b=2", "a=1 --no-such b=2"),
        ("--info what a=1", "--info what a=1"),
    ],
)
def test_flags_may_stand_between_overrides(given, ready, capsys):
    assert flags_first(given.split()) == ready.split()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        "-sc install=bash",
        "--shell-completion uninstall=zsh",
        "-m activation=glob(*)",
        "-m activation=glob(*,exclude=relu) loss=glob([s*])",
        "-m hydra/sweeper=other alpha.value=interval(0,1)",
        "dataset=npz dataset.path=x",
        "-m dataset=npz,digits dataset.path=x",
    ],
)
def test_what_hydra_takes_or_says_better_is_passed_on(line):
    assert checked(line.split()) == line.split()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--experimental-rerun nope seed=single", "--experimental-rerun nope: no such file"),
        ("seed.value=1 --resolve", "--resolve: shows values of a configuration that is printed; add --cfg job"),
        ("-m alpha.value=1,2 --cfg job", "--multirun --cfg: each does something else"),
        ("-c job --info defaults", "--cfg --info: each does something else"),
    ],
)
def test_flags_that_hydra_stumbles_over_are_refused(line, said):
    with pytest.raises(ConfigError, match=f"^{said}"):
        checked(line.split())


@pytest.mark.parametrize("words", ["", "install=nope", "nope=bash", "install=bash a=1", "query=bash"])
def test_completion_of_what_there_is_not_is_refused(words, monkeypatch):
    monkeypatch.delenv("COMP_LINE", raising=False)
    with pytest.raises(ConfigError, match=f"^-sc {words}: after -sc stands install=SHELL"):
        checked(["-sc", *words.split()])


def test_the_shell_asks_about_lines_that_are_not_complete(monkeypatch):
    monkeypatch.setenv("COMP_LINE", "train.py alpha.va")
    assert checked(["-sc", "query=fish"]) == ["-sc", "query=fish"]


def test_a_group_without_an_option_is_refused():
    with pytest.raises(ConfigError, match=r"^~loss: a run needs one of loss: .*hinge"):
        check_overrides(["~loss"])


def test_interval_is_refused_without_a_sweeper_that_draws_from_it():
    with pytest.raises(ConfigError, match=r"^alpha\.value=interval\(0,1\): an interval has no values to train at"):
        check_overrides(["-m", "alpha.value=interval(0,1)"])


@pytest.mark.parametrize(
    ("line", "there", "elsewhere"),
    [
        ("dynamics.stepperr=auto", "eps_gradient", "batch_seed"),
        ("dynamics=adam dynamics.lrr=1", "lr", "eps_gradient"),
        ("-m dynamics=adam,frozen_kernel dynamics.lrr=1", "at", "momentum"),
    ],
)
def test_a_wrong_key_is_answered_with_those_of_the_chosen_option(line, there, elsewhere):
    with pytest.raises(ConfigError, match="Its keys: ") as refused:
        check_overrides(line.split())
    keys = str(refused.value).partition("Its keys: ")[2].rstrip(".").split(", ")
    assert there in keys
    assert elsewhere not in keys


def test_keys_of_chosen_options_are_still_checked():
    with pytest.raises(ConfigError, match="dynamics=adam has no key 'eps_gradient'"):
        check_chosen(["dynamics=adam", "dynamics.eps_gradient=1"])


def test_help_of_hydra_is_hydras(monkeypatch):
    passed = []
    monkeypatch.setattr(train, "_train", lambda words: passed.append(words) or 0)
    assert train.main(["--help", "hydra"]) == 0
    assert passed == [["--hydra-help"]]


def test_equal_jobs_are_trained_once(train_py, tmp_path):
    """And flags stand where they stand."""
    command = [sys.executable, "train.py", *SHORT, "-m", "alpha.value=1,1.0,1e0", f"output_dir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 3 jobs are equal to others, and count once\n1 run in 1 job, 0 runs already done" in done.stdout
    assert len(list(tmp_path.glob("runs/*"))) == 1
    longer = train_py(tmp_path, "-m", *SHORT, "seed.value=0,1", f"hydra.sweep.subdir={'a' * 260}")
    assert "Nothing was started:\nhydra.sweep.subdir=" in longer.stderr
    assert "at most 255 bytes, and here one has 260" in longer.stderr
    below = train_py(tmp_path, "-m", *SHORT, "seed.value=0,1", "hydra.sweep.subdir=train.log/x")
    assert f"hydra.sweep.subdir=train.log/x: {tmp_path}/train.log is a file, and no folder" in below.stderr
    unknown = train_py(tmp_path, "-m", *SHORT, "seed.value=0,1", "hydra.sweep.subdir=${nothing}")
    assert "hydra.sweep.subdir=${nothing}: Interpolation key 'nothing' not found." in unknown.stderr
    assert len(list(tmp_path.glob("runs/*"))) == 1


def test_errors_are_said_once(train_py, tmp_path):
    """Of a sweep each reason, with how many jobs it has; of a job alone the sentence."""
    for words, more in ((("-m", "alpha.value=1,2,3"), ", and 2 other jobs\n"), ((), "")):
        done = train_py(tmp_path, *words, *(one for one in SHORT if "depth" not in one), *BROKEN)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert said.count(SENTENCE) == 1
        assert more in said
        assert "Error executing" not in said
        assert "HYDRA_FULL_ERROR" not in said
    assert SENTENCE in (tmp_path / "train.log").read_text(encoding="utf-8")


def test_what_is_refused_is_a_sentence_and_no_more(train_py, tmp_path):
    """By a sweeper, by Hydra, and as a terminal of any width has it."""
    for words, said in (
        (("-m", "seed.value=-1"), "Nothing was started:\nseed.value=-1: "),
        (("-m", "hydra/launcher=nope", "seed.value=1,2"), ""),
        (("-m", "alpha.value=range(1,1001)", "seed.value=range(0,100)"), "Nothing was started: "),
    ):
        done = train_py(tmp_path / "results", *words)
        assert done.returncode == 1
        assert done.stderr.startswith(said)
        assert done.stderr.strip()
        assert "HYDRA_FULL_ERROR" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("seed.value=-1",),
        ("-m", "seed.value=-1"),
        ("-m", "alpha.value=range(1,1001)", "seed.value=range(0,100)"),
        ("-m", "hydra/launcher=slurm_cpu", "seed.value=1,2"),
        ("-m", "hydra.launcher.dry_run=true", "hydra/launcher=slurm_cpu", "seed.value=1,2"),
        ("dataset=file", "dataset.path=nowhere.csv"),
        ("hydra.output_subdir=.hydra", "seed.value=-1"),
    ],
    ids=" ".join,
)
def test_what_is_refused_leaves_nothing(train_py, tmp_path, monkeypatch, words):
    """Neither a folder of its own, nor anything in one that was there; and what was there stays."""
    monkeypatch.setenv("PATH", str(tmp_path))  # without SLURM's programs
    assert train_py(tmp_path / "new" / "results", *words).returncode == ("dry_run" not in " ".join(words))
    assert list(tmp_path.iterdir()) == []
    results = tmp_path / "results"
    (results / "runs").mkdir(parents=True)
    (results / "train.log").write_text("before\n")
    train_py(results, *words)
    assert {path.name for path in results.iterdir()} == {"runs", "train.log"}
    assert (results / "train.log").read_text().startswith("before\n")


@pytest.mark.parametrize(
    "words", [("output_dir={0}/a,{0}/b",), ("hydra/sweeper=basic", "hydra/launcher=basic", "output_dir={0}/a")], ids=len
)
def test_the_log_of_a_sweep_stays_wherever_its_runs_are(tmp_path, words):
    """Of a sweep over results folders, and of one by Hydra's own launcher, which writes no plan."""
    folders = [word.format(tmp_path) for word in (*words, "hydra.sweep.dir={0}/logs")]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *SHORT, *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "logs" / "train.log").exists()
    trained = [folder.parent for folder in sorted(tmp_path.glob("*/runs/*"))]
    assert len(trained) == (2 if "," in words[-1] else 1)
    assert all(f"{folder.parent}: 1 run, " in done.stdout for folder in trained)
    assert "," not in words[-1] or "2 runs in 2 jobs" in done.stdout


def test_what_failed_after_it_was_asked_for_stays(train_py, tmp_path):
    """With its reason, and the log."""
    done = train_py(tmp_path / "results", *(one for one in SHORT if "depth" not in one), *BROKEN)
    assert done.returncode == 1
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"runs", "plans", "train.log"}


def test_training_in_a_locale_without_letters(tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "train.py", *SHORT, f"output_dir={tmp_path}", "threads=1"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\\u221ah\\u03b1=1 h=8 seed=0: max_steps at t = " in done.stdout
    assert "Logging error" not in done.stderr
    assert "√hα=1 h=8 seed=0" in (tmp_path / "train.log").read_text(encoding="utf-8")


@pytest.fixture
def latin(monkeypatch):
    """A call that makes standard output a terminal that knows no √, and returns a call for what is written there."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)

    def begin():
        monkeypatch.setattr(sys, "stdout", stream)  # in the test: pytest sets its own between fixtures and test
        return written

    def written():
        stream.flush()
        return stream.buffer.getvalue().decode("latin-1")

    return begin


def test_every_entrance_writes_to_any_terminal(tmp_path, latin, monkeypatch):
    plant(tmp_path, xs=(1.0, 1e3), widths=(30,), seeds=2)
    written = latin()
    assert main(["status", str(tmp_path)]) == 0
    assert main(["laws", str(tmp_path)]) == 0
    article(["list"])
    assert train.main(["--help"]) == 0
    assert "\\u221ah\\xb7\\u03b1" in written() or "\\u221ah·\\u03b1" in written()
    monkeypatch.setattr("logging.basicConfig", lambda **given: given["handlers"][0].stream.write("Θ\n"))
    sys.stdout.reconfigure(errors="strict")
    log_lines()  # of a SLURM job
    assert written().endswith("\\u0398\n")


def test_a_stream_that_is_no_file_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    any_terminal()


@pytest.mark.parametrize("words", [["compare", "A", "B"], ["compare"]])
def test_an_unknown_command_is_no_folder(words, capsys):
    with pytest.raises(SystemExit):
        article(words)
    said = capsys.readouterr().err
    assert said.startswith("compare: neither a results folder nor a command; the commands are fig")


def test_numbers_with_their_nouns():
    assert [counted(n, noun) for n, noun in ((0, "run"), (1, "run"), (2, "process"))] == [
        "0 runs",
        "1 run",
        "2 processes",
    ]
    nouns = re.compile(r"[^/]\{[^{}\":]*\} (runs|jobs|ensembles|files|points|rows)\b")
    for room in ("feature_lazy/launch", "feature_lazy/runs", "feature_lazy/study", "hydra_plugins", "analysis"):
        for path in (ROOT / room).rglob("*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                assert not nouns.search(line) or re.search(r"\bof (the )?\{", line), f"{path}: {line.strip()}"

"""The README is short, and each of its commands does what it says; with less data, narrower networks, fewer seeds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import main as analysis
from feature_lazy.launch.commands import main as command
from feature_lazy.settings.overrides import checked
from feature_lazy.systems.table import find
from tests.conftest import QUICK, TINY
from tests.study.planted_figures import plant

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)
LINES = [
    shlex.split(line, comments=True)
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.replace("\\\n", " ").splitlines()
]
SMALLER = {
    "width.h=100": "width.h=8",
    "width.h=50,100": "width.h=6,8",
    "alpha.value=1e-3,1e-1,10,1e3": "alpha.value=1,10",
    "seed.members=5": "seed.members=2",
}
TRAINED = [words for words in LINES if words[:2] == ["python", "train.py"]]
LOOKED = [words for words in LINES if words[0] == "feature-lazy"]


def test_it_is_read_in_a_minute():
    assert len(TEXT.splitlines()) <= 100
    assert len(TEXT.encode()) <= 6000
    assert sum(bool(line.strip()) for kind, text in BLOCKS if kind == "python" for line in text.splitlines()) == 8


def test_every_command_is_of_a_kind_that_is_tried_here():
    others = [words for words in LINES if words not in TRAINED and words not in LOOKED]
    assert [words[0] for words in others] == ["make", "make", "make", "python"]
    assert others[3][1:3] == ["-m", "analysis"]
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{words[1]}: " in targets for words in others[:3])


def python(*words):
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the run and the sweep of the page have left, where the page's own folders are not."""
    folder = tmp_path_factory.mktemp("readme") / "results"
    for words in TRAINED[0], TRAINED[2]:
        smaller = [SMALLER.get(word, word).replace("results", str(folder)) for word in words[2:]]
        where = () if any(word.startswith("output_dir=") for word in words) else (f"output_dir={folder}/one",)
        members = () if any(word.startswith("seed.members=") for word in smaller) else ("seed.members=2",)
        rest = [word for word in TINY if word.split("=")[0] != "width.h"]
        said = python("train.py", *smaller, *rest, *QUICK[1:], *where, *members, "threads=1")
    assert re.search(r"done +8 +8 converged", said)  # the end of the sweep, and what comes next
    assert f"Next: feature-lazy figures {folder}/mine" in said
    return folder


def test_run_and_sweep_are_trained(results):
    assert len(list((results / "one" / "runs").glob("*/done"))) == 2
    assert len(list((results / "mine" / "runs").glob("*/done"))) == 2 * 2 * 2


@pytest.mark.parametrize("words", LOOKED, ids=" ".join)
def test_commands_on_results(words, results, capsys, monkeypatch, tmp_path):
    if words[1] == "reproduce":
        assert find(words[2]).folder == words[2]
        return
    monkeypatch.chdir(tmp_path)
    assert command([word.replace("results", str(results)) for word in words[1:]]) == 0
    assert capsys.readouterr().out


def test_other_command_lines_are_taken(capsys):
    help_, cluster, article = TRAINED[1], TRAINED[3], TRAINED[4]
    assert "dynamics" in python(*help_[1:])
    assert checked(cluster[2:])[0] == "-m"
    assert "experiment=article/small/fig3" in checked(article[2:])


def test_a_figure_of_the_article(tmp_path, capsys):
    [words] = [words for words in LINES if words[:3] == ["python", "-m", "analysis"]]
    folder = plant(tmp_path / "results" / "small" / "fig3", xs=(0.1, 10.0, 1000.0), seeds=2)
    analysis([word.replace("results", str(tmp_path / "results")) for word in words[3:]])
    assert (folder / "figures" / f"{words[4]}.pdf").exists()


def test_the_lines_of_python_run(tmp_path):
    [text] = [text for kind, text in BLOCKS if kind == "python"]
    small = ", ".join(f'"{word}"' for word in (*TINY, *QUICK[1:]))
    assert '"width.h=20"' in text
    for here in ("results/python", "error.png"):
        assert here in text
        text = text.replace(here, str(tmp_path / here))
    said = python("-c", text.replace('"width.h=20"', small))
    assert len(re.findall(r"^\d+ +[\d.]+ +converged ", said, re.M)) == 2  # rows of the table
    assert "Trajectory: converged at t = " in said
    assert (tmp_path / "error.png").exists()

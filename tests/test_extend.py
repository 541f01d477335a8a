"""Every page of the extension guide: its one file is written, and the command beside it trains."""

import re
import shlex
import sys

import pytest
import torch

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.settings import registry
from feature_lazy.settings.checks import validate
from feature_lazy.settings.help import help_text
from feature_lazy.settings.overrides import checked
from feature_lazy.study import law as laws
from tests.conftest import ROOT, composed
from tests.study.stored_sweeps import plant

FOLDER = ROOT / "docs" / "extend"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name not in ("README.md", "law.md", "system.md"))
SMALL = ("dataset.n_train=20", "dataset.n_test=20", "width.h=8", "observe.kernel.probe=10", "observe.per_decade=2")
SHORT = ("dynamics.max_steps=2000",)


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder on Python's path; what its module declares is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    registry.discover()
    monkeypatch.setattr(registry, "_options", {group: dict(known) for group, known in registry._options.items()})
    sys.modules.pop("mine", None)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_trains(alone, page):
    text = page.read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    [command] = re.findall(r"```sh\nPYTHONPATH=\. python \S*train\.py (.*?)\n```", text)
    (alone / "mine.py").write_text(code)
    overrides = shlex.split(command)
    group, _, name = overrides[1].partition("=")
    config = composed(*SMALL, *SHORT, *checked(overrides), f"output_dir={alone / 'results'}")
    name = name.strip("[]")
    chosen = config.observe.also[name] if group == "observe/also" else getattr(config, group)
    assert registry.is_foreign(type(chosen))
    validate(config)
    [run_id] = train_config(config)
    run = load_run(alone / "results" / "runs" / run_id)
    assert run.done
    assert run.summary["outcome"] in ("converged", "t_end")
    losses = run.history["train/loss"]
    assert losses[-1] < losses[0]
    assert f"{group}={name}" in help_text([f"{group}={name}"])
    if group == "observe/also":
        assert len(run.history["spread/F"]) == len(losses)
        assert run.quantities["spread/F"].label == "deviation of F over test patterns"


@pytest.mark.parametrize("name", ["activation", "loss", "optimiser"])
def test_command_without_a_file_is_a_job(name):
    """The first block of a page, which names a function or a class of PyTorch; it is built and asked once."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    command = re.findall(r"```sh\npython train\.py (.*?)\n```", text)[0]
    config = composed(*SMALL, *checked(shlex.split(command)))
    validate(config)
    batch = build(config)
    net, x = batch.architecture, batch.dataset.x_train
    w = net.layout.flatten({key: weight[None] for key, weight in net.init(0).items()})
    flow = NetworkFlow(net, x, batch.dataset.y_train, batch.loss, alpha=torch.ones(1).double(), w0=w)
    training = config.dynamics.prepare(flow, w)
    assert float(training.system.outputs(training.y0, torch.arange(1)).abs().max()) == 0


def test_page_of_a_law_is_judged(alone, capsys, monkeypatch):
    text = (FOLDER / "law.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    [command] = re.findall(r"```sh\nPYTHONPATH=\. feature-lazy (.*?)\n```", text)
    (alone / "mine.py").write_text(code)
    laws.declared()
    monkeypatch.setattr(laws, "_declared", dict(laws._declared))
    monkeypatch.setenv("COLUMNS", "300")
    plant(alone)
    given = [str(alone) if word == "results/mine" else word for word in shlex.split(command)]
    assert main(given) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "weight change, over all" in line]
    assert "agrees" in line or "differs" in line or "cannot tell" in line


def test_page_of_a_system_trains_and_is_judged(alone, capsys, monkeypatch):
    text = (FOLDER / "system.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    [(sweep, command)] = re.findall(r"train\.py -m (.*?)\nPYTHONPATH=\. feature-lazy (.*?)\n```", text)
    (alone / "mine.py").write_text(code)
    laws.declared()
    monkeypatch.setattr(laws, "_declared", dict(laws._declared))
    monkeypatch.setenv("COLUMNS", "300")
    words = [word for word in checked(shlex.split(sweep)) if not word.startswith(("output_dir", "width"))]
    [widths] = re.findall(r"width\.h=(\S+)", sweep)
    for h in widths.split(","):
        job = composed(*SMALL, *words, f"width.h={h}", f"output_dir={alone / 'results'}")
        validate(job)
        train_config(job)
    given = [str(alone / "results") if word == "results/mine" else word for word in shlex.split(command)]
    assert main(given) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "way of one weight, against h" in line]
    assert "arXiv:1806.07572, section 4" in line
    assert "agrees" in line


def test_there_is_a_page_for_every_kind_in_the_table():
    listed = set(re.findall(r"\]\((\w+)\.md\)", (ROOT / "docs" / "extend" / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.stem for page in PAGES} | {"law", "system"}


def test_blocks_of_the_python_page_run(tmp_path, monkeypatch):
    """All but the second and the third, which read stored sweeps."""
    monkeypatch.chdir(tmp_path)
    first, _, _, *blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.S
    )
    assert len(blocks) == 3
    for block in (first, *blocks):
        exec(block, {})

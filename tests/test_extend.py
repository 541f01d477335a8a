"""Every page of the extension guide: its one file is written, and the command beside it trains."""

import re
import shlex
import sys

import pytest

from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.settings import registry
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import ALSO
from feature_lazy.settings.help import help_text
from feature_lazy.settings.overrides import checked
from tests.conftest import ROOT, composed

PAGES = sorted(path for path in (ROOT / "docs" / "extend").glob("*.md") if path.name != "README.md")
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
    chosen = [match for word in overrides if (match := re.match(r"([a-z/]+)=\[?(\w+)\]?$", word))]
    group, name = next(match.groups() for match in chosen if match[1] != "options")
    config = composed(*SMALL, *SHORT, *checked(overrides), f"output_dir={alone / 'results'}")
    made = config.observe.also[name] if group == ALSO else getattr(config, group)
    assert registry.is_foreign(type(made))
    validate(config)
    [run_id] = train_config(config)
    run = load_run(alone / "results" / "runs" / run_id)
    assert run.done
    assert run.summary["outcome"] in ("converged", "t_end")
    losses = run.history["train/loss"]
    assert losses[-1] < losses[0]
    assert f"{group}={name}" in help_text([f"{group}={name}"])


def test_there_is_a_page_for_every_kind_in_the_table():
    listed = set(re.findall(r"\]\((\w+)\.md\)", (ROOT / "docs" / "extend" / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.stem for page in PAGES}

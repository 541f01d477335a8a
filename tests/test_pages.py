"""The pages: every command in them is one that the programs take, with every value of its sweeps that ends a range."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.commands import parser
from feature_lazy.runs.job import train_config
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import checked
from feature_lazy.settings.shortest import shortest
from tests.conftest import composed

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "slurm").glob("*.md"))]
ELSEWHERE = ("seed.run=", "dataset.path=", "labels.teacher=", "dynamics.target=mine", "=my", "=mine", "options=[")
"""What names a file, a run or a module of the reader's: such a command is held against keys and options alone."""


def commands():
    """Words of every command of ``train.py`` and ``feature-lazy`` in the pages, by where it stands."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            known = {}
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.fullmatch(r'(\w+)="(.*)"', line.split("  #")[0].strip()):
                    known[found[1]] = found[2]
                    continue
                for name, value in known.items():
                    line = line.replace(f"${name}", value)
                words = shlex.split(line, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words = words[1:]
                if words[:1] == ["feature-lazy"] or (words[:1] == ["python"] and words[1].endswith("train.py")):
                    yield f"{page.relative_to(ROOT)}: {' '.join(words)}", words


COMMANDS = dict(commands())


@pytest.mark.parametrize("said", COMMANDS)
def test_it_is_one_that_the_program_takes(said):
    words = COMMANDS[said]
    if words[0] == "feature-lazy" and words[1:2] != ["train"]:
        if not {"--help", "--version"} & {*words}:
            parser().parse_args(words[1:])
        return
    overrides = [word for word in words[2:] if "=" in word and not word.lstrip("+").startswith("hydra")]
    if {"--help", "-h"} & {*words} or any(name in said for name in ELSEWHERE):
        return
    checked(words[2:])
    if any(word.startswith("experiment=") for word in words):
        return  # which have tests of their own: study/test_article.py, systems/test_table.py
    for job in _ends(overrides):
        validate(composed(*job))


def _ends(overrides):
    """A job of the first values of all sweeps, and one of the last."""
    each = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        values = (
            [*override.sweep_string_iterator()]
            if override.is_sweep_override()
            else [override.get_value_element_as_str()]
        )
        each.append([f"{override.get_key_element()}={value}" for value in (values[0], values[-1])])
    return [list(job) for job in dict.fromkeys(zip_longest(*each))]


def trained():
    """Of the commands that train on what is at hand, the first job of each, but those of experiments."""
    for said, words in COMMANDS.items():
        if (words[0] == "feature-lazy" and words[1:2] != ["train"]) or any(name in said for name in ELSEWHERE):
            continue
        overrides = [word for word in words[2:] if "=" in word and not word.lstrip("+").startswith("hydra")]
        if (
            overrides
            and not {"--help", "-h", "--cfg"} & {*words}
            and not any("experiment=" in one for one in overrides)
        ):
            yield pytest.param(_ends(overrides)[0], id=said)


@pytest.mark.parametrize("job", list(trained()))
def test_it_trains(job, tmp_path):
    """Two steps of the first job, with what is measured at their end; data that have to be fetched are skipped."""
    config = composed(*job, f"output_dir={tmp_path}", "tracking=none")
    if sentence := config.dataset.missing():
        pytest.skip(sentence)
    fewer = {"max_steps": 2} | ({"updates": 2} if hasattr(config.dynamics, "updates") else {})
    short = replace(config, dynamics=replace(config.dynamics, **fewer))
    assert len(train_config(short)) == len(cells(short))


PANELS = "from feature_lazy.study.dashboard.panels import ALPHA, _over_t, _over_x, _phases"


@pytest.mark.parametrize(("page", "before"), [("laws", ""), ("tracking", ""), ("dashboard", PANELS)])
def test_code_of_a_page_runs(page, before):
    """In a process of its own, which keeps the laws that it declares. Others: data/, networks/, test_extend.py."""
    if before:
        pytest.importorskip("wandb_workspaces")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([before, *blocks])], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_headings_and_paragraphs_are_apart_by_one_line():
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"[^\n]\n#+ |\n#+ [^\n]*\n[^\n]", text), page
    text = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
    assert re.search(r"`(observe\.kernel\.probe=100)`, where", text)[1] in shortest(
        cells(composed("dataset.n_test=100"))[0].resolved
    )


def test_there_are_commands():
    assert len(COMMANDS) > 150


def test_a_key_that_is_not_there_is_found():
    with pytest.raises(ConfigError, match="there is no key 'widht'"):
        checked(["widht.h=3"])

"""A sweep of a user's own network over α × h × seed goes through every command, whatever its runs do not know."""

import json
import shlex
import sys
from dataclasses import replace

import pandas as pd
import pytest

from analysis.__main__ import main as article
from analysis.figures.registry import ARTICLE, draw_article
from analysis.figures.source import one_kind, open_runs
from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.job import train_config
from feature_lazy.runs.survey import survey
from feature_lazy.runs.sweep import Sweep, load_sweep
from feature_lazy.settings.cells import cells
from feature_lazy.study import summary
from feature_lazy.study.following import followed
from feature_lazy.study.laws import CONTRASTS, of_folder
from feature_lazy.study.report.groups import group
from feature_lazy.study.report.origin import repeat
from feature_lazy.study.table import differences, parts, read
from tests.conftest import QUICK, composed
from tests.study.stored_sweeps import plant

pytestmark = pytest.mark.usefixtures("small_pictures")
MINE = """
from torch import nn


def net(d, widths, slope):
    layers = [nn.Flatten(), nn.Linear(d, widths[0]), nn.Softplus(slope), nn.Linear(*widths), nn.Softplus(slope)]
    return nn.Sequential(*layers, nn.Linear(widths[1], 1))
"""
NETWORK = (
    "architecture=custom",
    "architecture.target=net_of_mine.net",
    "architecture.kwargs={d: 64, widths: [6, '${width.h}'], slope: 5}",
    "dataset.n_train=8",
    "dataset.n_test=12",
    "observe.kernel.probe=6",
    "observe.per_decade=1",
    *QUICK[1:],
)
ALPHAS, WIDTHS = (3, 100), (4, 9)
SHOW = {"fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "fig9", "fig14", "fig13", "fig15", "fig16", "table1"}
"""Figures that such a sweep shows something of."""


def at(alpha, h, *overrides):
    return composed(*NETWORK, "seed=ensemble", "seed.members=2", f"alpha.value={alpha}", f"width.h={h}", *overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight runs, trained by configuration."""
    home = tmp_path_factory.mktemp("own")
    (home / "net_of_mine.py").write_text(MINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(home))
        for alpha in ALPHAS:
            for h in WIDTHS:
                train_config(at(alpha, h, f"output_dir={home / 'results'}"))
        yield home / "results"
    sys.modules.pop("net_of_mine", None)


@pytest.mark.parametrize(
    "command",
    [
        ["figures"],
        ["laws"],
        ["report"],
        ["status"],
        ["verify"],
        ["export", "runs.csv"],
        ["export", "runs.parquet"],
        ["export", "histories.csv", "--histories"],
    ],
    ids=" ".join,
)
def test_every_command_takes_it(folder, capsys, command):
    name, *rest = command
    rest = [str(folder / word) if "." in word else word for word in rest]
    rest += ["--all"] * (name == "figures")
    assert main([name, str(folder), *rest]) == 0
    shown = capsys.readouterr().out
    assert "8 " in shown or name not in ("status", "verify", "export") or "--histories" in rest
    assert "kernel change = 1" in " ".join(shown.split()) or name not in ("figures", "laws")


def test_dashboard_knows_its_laws(folder, tmp_path):
    pytest.importorskip("wandb_workspaces")
    assert main(["dashboard", "laziness", "--results", str(folder), "--dry-run", str(tmp_path / "d.json")]) == 0
    assert "α* against h" in json.dumps(json.loads((tmp_path / "d.json").read_text()), ensure_ascii=False)


def test_every_figure_of_the_article_takes_it(folder, tmp_path, monkeypatch):
    """It is drawn, or refused because none of its runs has a part in it."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    for name in ARTICLE:
        if name in SHOW:
            draw_article(name, [folder], tmp_path, ["png"])
            assert len(pd.read_csv(tmp_path / f"{name}.csv"))
        else:
            with pytest.raises(StoreError, match=f"^{name}: no run in .* shows any of it, so nothing is drawn."):
                draw_article(name, [folder], tmp_path, ["png"])
            assert not (tmp_path / f"{name}.csv").exists()
    table = pd.read_csv(tmp_path / "table1.csv")
    assert table["series"].str.contains("custom, gradient_flow").all()  # no L and no activation, which are not known


def test_a_figure_without_data_is_no_success(folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        article(["figure", "fig11", str(folder), "--output", str(tmp_path)])
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("fig11: no run in ")
    assert "No run knows its preactivations: its layers are" in said


SUMMARY = ("t_half", "t_stop", "weights/change", "test/error", "kernel/change", "kernel/change_test")
KNOWN = ("dataset", "labels", "P", "architecture", "parametrisation", "L", "activation", "loss", "dynamics")


@pytest.mark.parametrize(
    ("missing", "null"),
    [
        (("kernel/change", "kernel/change_test"), False),
        (("weights/change", "t_half"), True),
        (SUMMARY, False),
        (KNOWN, True),
    ],
    ids=str,
)
def test_columns_that_no_run_has_are_no_traceback(folder, monkeypatch, missing, null):
    """As null, which this version writes for what it does not know, or not there at all, as in older runs."""
    runs = [_without(run, missing, null) for run in load_sweep(folder).runs]
    for module in ("feature_lazy.study.table", "analysis.figures.source"):
        monkeypatch.setattr(f"{module}.load_sweep", lambda _: Sweep(folder, runs))
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    assert summary.summarise(folder)
    source = open_runs([folder])
    for function in ARTICLE.values():
        function(source).finish()


def _without(run, missing, null):
    part = {
        part: {name: None if name in missing else value for name, value in run.manifest[part].items()}
        for part in ("columns", "summary")
    }
    if not null:
        part = {name: {k: v for k, v in values.items() if k not in missing} for name, values in part.items()}
    return replace(run, manifest={**run.manifest, **part})


def test_keys_that_follow_the_width_mix_nothing(folder):
    assert differences(read(folder)) == {}
    assert list(parts(folder)) == [""]
    [only] = group(survey(folder))
    assert len(only.table) == 8
    assert set(of_folder(parts(folder))) - {CONTRASTS} == {""}


def test_one_command_trains_all_of_it_anew(folder):
    """Keys that follow the width are written as interpolations, so that it may be swept."""
    entries = survey(folder).entries
    [command] = repeat(entries, "DIR")
    words = shlex.split(command)[3:]  # python train.py -m
    assert "architecture.kwargs.widths=[6,'${width.h}']" in words
    again = set()
    for alpha in ALPHAS:
        for h in WIDTHS:
            one = {"alpha.value": alpha, "width.h": h, "seed.value": 1}
            assert {key for key in one if any(word.startswith(f"{key}=") for word in words)} == set(one)
            kept = [word for word in words if word.split("=")[0] not in one]
            [cell] = cells(composed(*kept, *(f"{key}={value}" for key, value in one.items())))
            again.add(cell.run_id)
    assert again == {entry.run_id for entry in entries if entry.columns["seed"] == 1}


def config(h=8, alpha=1.0, seed=0, **kwargs):
    own = {"architecture": {"kind": "custom", "target": "m.Net", "kwargs": kwargs}}
    return {**own, "width": {"h": h}, "alpha": {"value": alpha}, "seed": {"value": seed}}


def kwargs(configs):
    return [one["architecture"]["kwargs"] for one in followed(configs)]


def test_what_follows_what():
    swept = [config(h, a, s, w=h, scale=a, draw=s, both=[h, h, 10]) for h in (8, 9) for a in (0.5, 1) for s in (0, 1)]
    marks = {"w": "${width.h}", "scale": "${alpha.value}", "draw": "${seed.value}"}
    assert kwargs(swept) == [{**marks, "both": ["${width.h}", "${width.h}", 10]}] * 8
    # Equal by chance, in one run or at the only width, is no following.
    for others in ([config(8, w=8), config(9, w=8)], [config(8, w=8), config(8, 2.0, w=8)]):
        assert followed(others) == others
    with_others = followed([config(8, w=8), config(9, w=9), {"width": {"h": 3}, "architecture": {"kind": "cnn"}}])
    assert with_others[0]["architecture"]["kwargs"] == {"w": "${width.h}"}
    assert followed([config(0, flag=False), config(1, flag=True)])[0]["architecture"]["kwargs"] == {"flag": False}


def test_two_networks_of_ones_own_are_two_kinds(tmp_path):
    """In the article's figures too: neither counts as a copy of the other."""
    for h in (30, 100):
        for slope in (1, 2):
            plant(
                tmp_path,
                xs=(1e3,),
                widths=(h,),
                seeds=2,
                L=None,
                architecture="custom",
                config=config(h, w=h, slope=slope),
            )
    assert differences(read(tmp_path, mixed=["architecture.kwargs.slope"])) == {"architecture.kwargs.slope": [1, 2]}
    assert {name: len(part) for name, part in parts(tmp_path).items()} == {
        f"architecture.kwargs.slope = {slope}": 4 for slope in (1, 2)
    }
    table = open_runs([tmp_path]).table
    chosen, [said] = one_kind(table)
    assert (len(table), len(chosen)) == (8, 4)
    assert said == f"Shown: own = {chosen['own'].iloc[0]}; left out: 4 runs that differ in own."
    assert set(table["own"]) == {f"m.Net(w=${{width.h}}, slope={slope})" for slope in (1, 2)}

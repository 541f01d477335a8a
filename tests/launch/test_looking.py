"""The commands that look at stored runs: plot, compare, list, show, explain, and the version."""

import csv
import dataclasses
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import DONE
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.settings.cells import COLUMNS
from feature_lazy.settings.overrides import checked
from feature_lazy.settings.shortest import shortest
from feature_lazy.study.figures import pgf
from feature_lazy.study.figures.axes import APART
from feature_lazy.study.figures.overview import ONLY, phase_diagram
from feature_lazy.study.figures.plot import MARKERS, Wanted, draw, rows, save
from feature_lazy.study.figures.style import SQRT_H_ALPHA, inches
from feature_lazy.study.table import read
from tests.conftest import QUICK, ROOT, composed
from tests.study.stored_sweeps import plant


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    plant(root, xs=(0.1, 100.0), widths=(30, 100), seeds=3, observations=4)
    return root


def said(capsys, *words):
    status = main(list(map(str, words)))
    out, err = capsys.readouterr()
    return status, out, err


def points(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_points_are_means_and_errors_over_seeds(folder, tmp_path, capsys):
    out = tmp_path / "fig.csv"
    status, said_, _ = said(
        capsys, "plot", folder, "--x", "sqrt_h_alpha", "--y", "kernel/change", "--by", "h", "--out", out,
        "--out", tmp_path / "fig.pdf", "--width", "8.6cm",
    )  # fmt: skip
    assert status == 0
    assert f"4 points, 12 values of kernel/change, in {out}" in said_
    assert (tmp_path / "fig.pdf").read_bytes().startswith(b"%PDF")
    table = load_sweep(folder).table
    for row in points(out):
        part = table[(table["h"] == float(row["h"])) & (table["sqrt_h_alpha"] == float(row["sqrt_h_alpha"]))][
            "kernel/change"
        ]
        mean = float(row["kernel/change"])
        assert mean == pytest.approx(part.mean(), rel=1e-12)
        assert float(row["high"]) - mean == pytest.approx(part.std(ddof=1) / np.sqrt(3), rel=1e-9)
        assert row["n"] == "3"


@pytest.mark.parametrize(("how", "low", "high"), [("median,quartiles", 25, 75), ("mean,sd", None, None)])
def test_other_means_and_spreads(folder, how, low, high):
    wanted = Wanted.reduced(how, x="alpha", y="test/error", by=("h",), where=("seed=0,1,2", "h=100"))
    found, _ = rows({"a": folder}, wanted)
    table = load_sweep(folder).table.query("h == 100")
    for _, row in found.iterrows():
        values = table[np.isclose(table["alpha"], row["x"])]["test/error"]
        if low:
            assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(values, [low, high])))
            assert row["y"] == pytest.approx(np.median(values))
        else:
            assert row["high"] - row["y"] == pytest.approx(values.std())


def test_curves_over_time_and_every_run(folder):
    wanted = Wanted.reduced("none", x="t", y="train/loss", by=("seed",), where=("h=30", "sqrt_h_alpha=100"))
    found, known = rows({"a": folder}, wanted)
    run = next(r for r in load_sweep(folder).runs if r.columns["h"] == 30 and r.columns["sqrt_h_alpha"] == 100)
    mine = found[found["seed"] == run.columns["seed"]]
    assert mine["x"].tolist() == run.history["t"][:-1].tolist()
    assert mine["y"].tolist() == run.history["train/loss"][:-1].tolist()
    figure = draw(found, known, wanted)
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylabel() == r"training loss α²$\mathcal{L}$"
    plt.close(figure)


def test_a_line_over_time_is_seen_below_its_markers(folder):
    wanted = Wanted.reduced("mean,sem", x="t", y="train/loss", by=("sqrt_h_alpha",), where=("h=30", "seed=0"))
    found, known = rows({"a": folder}, wanted)
    points = found.loc[found.index.repeat(40)].assign(x=range(40 * len(found)))
    figure = draw(points, known, wanted)
    [axes] = figure.axes
    for bars in axes.containers:
        line = bars.lines[0]
        assert len(line.get_xdata()) / line.get_markevery() <= MARKERS
        assert not bars.has_yerr  # of one run there is no spread
        assert bars.get_label().startswith(SQRT_H_ALPHA)
    plt.close(figure)


def test_folders_are_lines_and_keys_are_columns(folder, tmp_path):
    other = plant(tmp_path / "other", xs=(0.1, 100.0), widths=(30,), seeds=2, config={"dynamics": {"lr": 0.3}})
    folders, where = {"first": folder, "second": other}, ("h=30",)
    found, _ = rows(folders, Wanted(x="alpha", y="test/error", where=where))
    assert found.groupby("folder")["n"].unique().map(list).to_dict() == {"first": [3], "second": [2]}
    found, _ = rows({"second": other}, Wanted(x="dynamics.lr", y="test/error", by=("alpha",)))
    assert set(found["x"]) == {0.3}


REFUSED = {
    (
        "--y",
        "test/eror",
    ): "y test/eror: no run has this column, nor this key of the configuration. Did you mean test/error",
    ("--by", "dynamics.lr"): "by dynamics.lr: no run has this column",
    ("--where", "h"): "where h: write COLUMN=VALUES",
    ("--where", "h=7"): "where h=7: no run has it; there are h = 30, 100",
    ("--reduce", "mean,min"): "reduce mean,min: write none, or one of mean, median and one of sem, sd, quartiles",
    ("--out", "fig.gif"): "--out fig.gif: the name must end in .pdf, .png, .svg, .pgf, .csv",
    ("--width", "3 feet"): "width 3 feet: write a length such as 3.4in",
    ("--y", "dataset"): "y dataset: it is no number; draw lines by dataset",
    ("--x", "t"): "y test/errors: no run has it over time; there are",
    ("--x", "sqrt_h_alpha"): "Runs with h = 100, 30 would be one point: draw lines by h, choose them by where h=",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(folder, tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    by = [] if words[1] == "sqrt_h_alpha" else ["--by", "h"]
    y = ["--y", "test/errors", "--by", "alpha", "--by", "seed"] if words[1] == "t" else []
    status, _, err = said(capsys, "plot", folder, *by, *y, *words)
    assert status == 1
    assert REFUSED[words] in err
    assert not list(tmp_path.iterdir())


def test_a_logarithm_of_nothing_is_refused(folder):
    wanted = Wanted(x="seed", y="test/error", by=("h", "alpha"), where=("seed=0",), log="x")
    found, known = rows({"a": folder}, wanted)
    with pytest.raises(StoreError, match="log x: no value of seed is above 0; leave x out"):
        draw(found, known, wanted)


def test_lengths():
    assert (inches("3.4in"), inches("2.54cm"), inches("72.27pt"), inches(3)) == pytest.approx((3.4, 1, 1, 3))


def test_a_notebook_asks_in_python(folder):
    """Rules as a dictionary, and a length with its unit; each is what the command means by its words."""
    sweep = load_sweep(folder)
    for where in ({"h": 30, "seed": [0, 1]}, ("h=30", "seed=0,1")):
        figure = sweep.plot("kernel/change", where=where, width="2.54cm")
        assert figure.get_size_inches()[0] == pytest.approx(1)
        [drawn] = figure.axes[0].containers
        assert len(drawn[0].get_xdata()) == 2  # values of √h·α
    assert len(sweep.plot(where={}).axes[0].containers) == 2  # widths


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"where": {"h": 7}}, "where h=7: no run has it; there are h = 30, 100"),
        ({"width": "wide"}, "width wide: write a length such as 3.4in"),
        ({"width": [3]}, "width [3]: write a length"),
        ({"log": "z"}, "log z: write one of x, y, xy, none"),
    ],
)
def test_what_a_notebook_cannot_have(folder, asked, sentence):
    with pytest.raises(StoreError, match=re.escape(sentence)):
        load_sweep(folder).plot("kernel/change", **asked)


def test_two_folders_are_compared_run_by_run(folder, tmp_path, capsys):
    other = plant(
        tmp_path / "other", xs=(0.1, 100.0), widths=(30, 100), seeds=3, rng=1, config={"dynamics": {"lr": 0.3}}
    )
    status, out, _ = said(capsys, "compare", folder, other)
    assert status == 0
    assert "dynamics.lr: – | 0.3" in out
    one, two = (load_sweep(root).table.set_index(["h", "sqrt_h_alpha", "seed"]) for root in (folder, other))
    difference = (one["test/error"] - two["test/error"]).mean()
    [line] = [line for line in out.splitlines() if line.startswith("test/error ")]
    value, error = map(float, line.split()[1:4:2])
    assert value == pytest.approx(difference, abs=error / 20)  # half the place of the error's second digit
    assert "12 pairs" in line
    same = said(capsys, "compare", folder, folder)[1]
    assert "|" not in same
    assert "The same in both: " in same
    lonely = plant(tmp_path / "lonely", xs=(0.5,), widths=(7,), seeds=1)
    status, _, err = said(capsys, "compare", folder, lonely)
    assert (status, "have no runs of the same h, √h·α and seed" in err) == (1, True)


def test_runs_that_are_not_compared_are_counted(folder, tmp_path, capsys):
    other = plant(tmp_path / "other", xs=(0.1,), widths=(30, 100), seeds=4, rng=1)
    out = said(capsys, "compare", folder, other)[1]
    assert "6 runs of A and 2 runs of B have no partner: A alone has √h·α = 100;" in out
    assert "B alone has seed = 3." in " ".join(out.split())
    assert "not done" not in out
    runs = {one.columns["seed"]: one.path for one in load_sweep(other).runs if one.columns["h"] == 30}
    (runs[3] / DONE).unlink()
    out = said(capsys, "compare", folder, other)[1]
    assert "6 runs of A and 1 run of B have no partner" in out
    assert "1 run of B is not done." in out
    assert "not done" not in said(capsys, "compare", folder, other, "--where", "seed=0,1")[1]
    assert "no partner" not in said(capsys, "compare", other, other)[1]


def test_a_quantity_is_compared_once_and_to_the_place_of_its_error(folder, tmp_path, capsys):
    other = plant(tmp_path / "other", xs=(0.1, 100.0), widths=(30, 100), seeds=3, rng=1)
    out = said(capsys, "compare", folder, other)[1]
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines if str(tmp_path.parent) not in line)
    rows = [line for line in lines if " ± " in line and "pairs" in line]
    names = [row.split()[0] for row in rows]
    assert [name for name in names if "change" in name] == ["weights/change", "kernel/change"]
    assert len({row.index("±") for row in rows}) == 1
    for row in rows:
        value, error = row.split()[1:4:2]
        assert len(value.partition(".")[2]) == len(error.partition(".")[2]), row
    [same] = [line for line in lines if line.startswith("The same in both: ")]
    assert "t_half" in same
    assert "t_half" not in names


def test_ticks_that_a_figure_sets_are_those_of_its_widths(folder):
    sheet = phase_diagram(read(folder))
    sheet.finish()
    axes = sheet.axes[ONLY]
    assert list(axes.get_yticks()) == [30, 100]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["30", "100"]


def test_axis_of_shares_does_not_begin_below_0(folder):
    wanted = Wanted("sqrt_h_alpha", "test/error", ("h",))
    points, known = rows({"a": folder}, wanted)
    points = points.assign(y=0.0, low=-0.1, high=0.1)
    assert draw(points, known, wanted).axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize("x", ["sqrt_h_alpha", "t"])
def test_error_bars_at_one_x_stand_beside_each_other(folder, x):
    """On the picture: the points, their CSV and the limits of the axes are those of the data."""
    where = ("sqrt_h_alpha=100",) if x == "t" else ()
    wanted = Wanted(x, "kernel/change", ("h",), where)
    points, known = rows({"a": folder}, wanted)
    figure = draw(points, known, wanted)
    figure.draw_without_rendering()
    [axes] = figure.axes
    for bars, (_, part) in zip(axes.containers, points.groupby("h"), strict=True):
        np.testing.assert_array_equal(bars.lines[0].get_xdata(), part["x"])
    places = [bars.lines[0].get_transform().transform((10.0, 1.0))[0] for bars in axes.containers]
    true = axes.transData.transform((10.0, 1.0))[0]
    shift = 0 if x == "t" else APART / 2 / 72 * figure.dpi
    np.testing.assert_allclose(np.array(places) - true, [-shift, shift], atol=1e-6)


def test_numbers_of_a_csv_are_as_short_as_a_figure_needs(folder, tmp_path):
    wanted = Wanted("sqrt_h_alpha", "test/error")
    points, _ = rows({"a": folder}, Wanted("sqrt_h_alpha", "test/error", ("h",)))
    save(plt.figure(), points.assign(y=0.45999999999999996, low=1 / 3), tmp_path / "fig.csv", wanted)
    text = (tmp_path / "fig.csv").read_text(encoding="utf-8")
    assert "0.46," in text
    assert "0.3333333333333," in text


def test_what_a_run_was_of_is_shown_in_few_digits(tiny, capsys):
    [run_id] = train_config(tiny(*QUICK))
    status, out, _ = said(capsys, "show", Path(tiny().output_dir) / run_id)
    assert status == 0
    assert "fingerprints, of each tensor its shape, its norm and four projections:" in out
    [weights] = [line for line in out.splitlines() if line.startswith("  weights: ")]
    assert re.fullmatch(r"  weights: \d+( -?\d[\d.e+-]*){5}", weights)
    assert max(len(re.sub(r"\D", "", number)) for number in weights.split()[2:]) <= 8


def test_runs_are_listed_and_one_is_shown(folder, capsys):
    status, out, _ = said(capsys, "list", folder, "--where", "h=30")
    head, *lines = out.splitlines()
    assert status == 0
    assert head.split() == ["run", "h", "sqrt_h_alpha", "seed", "state", "test/error", "kernel/change", "outcome"]
    assert len(lines) == 6
    run_id = lines[0].split()[0]
    status, out, _ = said(capsys, "show", folder / run_id[:8])
    assert status == 0
    assert out.startswith(f"{run_id}, complete: converged")
    assert "h = 30" in out
    assert "kernel change ‖Θ − Θ₀‖/‖Θ₀‖" in out
    status, _, err = said(capsys, "show", folder / "zzz")
    assert (status, "no run there begins so" in err) == (1, True)
    status, _, err = said(capsys, "list", folder / "nowhere")
    assert (status, "There are no runs in" in err) == (1, True)


JOBS = (
    (),
    ("alpha.value=3", "width.h=7", "dataset.classes=[3,5]", "dataset.n_train=20", "seed=ensemble"),
    ("dynamics=sgd", "dynamics.momentum=0.9", "observe/also=[cka]", "observe.also.cka.every=3", "centred=false"),
    (
        "activation=custom",
        "activation.target=torch.nn.functional.leaky_relu",
        "activation.kwargs={negative_slope: 0.1}",
    ),
    ("observe.kernel.probe=30", "observe=times", "observe.times=[0.5,1]", "dataset.pca.components=5"),
)


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_the_shortest_command_makes_the_job_again(overrides):
    job = composed(*overrides)
    plain = json.loads(json.dumps(dataclasses.asdict(job)))
    found = shortest(plain)
    assert composed(*checked(found)) == job
    assert len(found) <= len(overrides) + 3


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("dynamics.lr", "learning rate"),
        ("dynamics=lion", "Chen et al. 2023"),
        ("kernel/change", "kernel change ‖Θ − Θ₀‖/‖Θ₀‖; Fig. 5a"),
        ("spectra/W1/alpha", "with observe/also=[spectra]"),
        ("t_end", "an outcome: the time that was asked for is reached"),
        ("sqrt_h_alpha", "above it training is lazy"),
        ("outcome", "how the run ended"),
    ],
)
def test_words_are_explained(capsys, word, meaning):
    status, out, _ = said(capsys, "explain", word)
    assert status == 0
    assert meaning in out


def test_every_column_of_a_run_is_explained(folder):
    assert list(load_sweep(folder).runs[0].columns) == list(COLUMNS)


def test_a_word_that_is_none_and_the_version(capsys):
    status, _, err = said(capsys, "explain", "kernel/chang")
    assert (status, "Did you mean kernel/change" in err) == (1, True)
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("feature_lazy 0.")


def test_commands_of_the_page_run(tmp_path, capsys, monkeypatch):
    """The blocks of docs/commands.md, on planted sweeps under the names that they use."""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").split("## Figures of your own")[1]
    blocks = re.findall(r"```sh\n(.*?)```", text.split("\n## ")[0], re.S)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    assert len(lines) == 8
    monkeypatch.chdir(tmp_path)
    for name, keys in (("mine", {}), ("other", {"config": {"dynamics": {"lr": 0.3}}})):
        plant(tmp_path / "results" / name, xs=(0.1, 100.0), widths=(30, 100), seeds=2, observations=3, **keys)
    monkeypatch.setattr(pgf, "ENGINES", ("nothing",))  # what LaTeX is here is not the point
    runs = sorted(path.name for path in (tmp_path / "results" / "mine" / "runs").iterdir())
    for program, command, *words in lines:
        assert program == "feature-lazy"
        words = [word.replace("3f2a", runs[0]) for word in words]
        wanted = 1 if "fig.pgf" in words else 0
        assert said(capsys, command, *words)[0] == wanted, words
    assert (tmp_path / "fig.pdf").exists()
    assert (tmp_path / "paper" / "kernel_change.csv").exists()


def test_one_seed_has_no_error_bar(folder, tmp_path):
    out = tmp_path / "one.csv"
    wanted = Wanted.reduced("mean,sem", x="sqrt_h_alpha", y="kernel/change", by=("h",), where=("seed=0",))
    found, known = rows({"a": folder}, wanted)
    save(draw(found, known, wanted), found, out, wanted)
    assert all(row["low"] == row["high"] == "" and row["n"] == "1" for row in points(out))

"""The article's figures from planted sweeps: what is drawn is what the CSV says, and what is missing is named."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from analysis.__main__ import main
from analysis.figures import registry
from analysis.figures.registry import ARTICLE, SHOWN, draw_article, readings
from analysis.figures.source import one_kind, open_runs
from analysis.figures.tables import write
from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.runs.plan import write_plan
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import STYLE, sized
from feature_lazy.study.law import declared
from feature_lazy.study.table import fitted, kinds
from feature_lazy.study.verdict import AGREES, DIFFERS
from tests.study.planted_figures import FEATURE, LAZY, WEIGHTS, everything, plant

pytestmark = pytest.mark.usefixtures("small_pictures")
TABLES = ("table1", "table2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("planted") / "results")


@pytest.fixture(scope="module")
def source(folder):
    return open_runs([folder])


@pytest.fixture(scope="module")
def sheets(source):
    """Every figure, finished as it is saved."""
    made = {name: function(source) for name, function in ARTICLE.items()}
    for sheet in made.values():
        sheet.finish()
    return made


def below(sheet):
    """The sentences that stand on the figure."""
    return " ".join((sheet.figure.get_supxlabel() or "").split())


def test_every_figure_and_table_is_there():
    assert set(ARTICLE) == {f"fig{n}" for n in range(1, 17)} | set(TABLES) == set(SHOWN)


@pytest.mark.parametrize("name", [name for name in ARTICLE if name not in (*TABLES, "fig1")])
def test_what_is_drawn_is_what_the_table_says(sheets, name):
    data, compared = sheets[name].data(), 0
    for panel, axes in sheets[name].axes.items():
        for bars in (c for c in axes.containers if isinstance(c, ErrorbarContainer)):
            label = bars.get_label().removeprefix("_")
            own = data[(data["panel"] == panel) & (data["series"] == label)]
            np.testing.assert_array_equal(np.column_stack(bars[0].get_data()), own[["x", "y"]].to_numpy())
            compared += len(own)
    images = data["series"].str.startswith("row ").sum()  # Gram matrices of Fig. 8
    assert compared + images == len(data) > 0


@pytest.mark.parametrize("name", ARTICLE)
def test_no_panel_is_empty_when_every_part_is_there(sheets, name):
    assert set(sheets[name].data()["panel"]) == set(sheets[name].axes)


@pytest.mark.parametrize("cell", ["short", "a cell as long as the name of a network " * 3 + "and a little more"])
def test_tables_end_on_the_page(cell):
    """At the resolution at which they are saved, where text is wider than on the screen."""
    with plt.rc_context(STYLE):
        sheet = Sheet("table1", {"a": "a table"}, columns=1)
        write(sheet, ("of", "value"), [(cell, "1")])
        sheet.figure.set_dpi(200)
        sheet.figure.draw_without_rendering()
    [table] = sheet.axes["a"].tables
    assert table.get_window_extent().x1 <= sheet.figure.bbox.x1


@pytest.mark.parametrize("lines", [1, 3, 9])
def test_names_of_lines_leave_a_narrow_figure_its_width(lines):
    with plt.rc_context(sized(3.4)):
        sheet = Sheet("one", {"": ""}, columns=1, height=None)
        for h in range(lines):
            sheet.line("", rf"$h \rightarrow {h}$, a line", [1, 2], [1, 2], style=h)
        sheet.decorate("", "x", "y")
        sheet.finish()
        sheet.figure.draw_without_rendering()
    [names] = sheet.figure.legends
    box = names.get_window_extent()
    assert sheet.axes[""].get_window_extent().width > 0.75 * sheet.figure.bbox.width
    assert 0 <= box.x0 < box.x1 <= sheet.figure.bbox.x1
    assert box.height < 0.35 * sheet.figure.bbox.height


def test_guides_have_the_exponents_that_they_name(sheets):
    axes = sheets["fig5"].axes["b"]
    for line, text in zip(axes.lines[-2:], axes.texts, strict=True):
        x, y = np.log(line.get_data())
        assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(float(text.get_text().replace("−", "-")), abs=1e-9)


def test_planted_laws_are_found_in_what_is_drawn(sheets):
    table = sheets["table2"].data().set_index("series")
    for name, planted in {"kernel change, feature": FEATURE, "kernel change, lazy": LAZY}.items():
        assert table.loc[f"L = 3, {name}", "y"] == pytest.approx(planted, abs=1e-9)
        assert table.loc[f"L = 3, {name}", "text"] == f"theory {-1.5 if 'feature' in name else -1.0:.3f}"
    assert table.loc["L = 3, weight change, feature", "y"] == pytest.approx(WEIGHTS, abs=1e-9)


def test_laws_of_the_figures_are_judged_by_the_court(source, monkeypatch):
    """Planted exponents agree, those of the width and of the kind too; each figure has those that it names."""
    tables = kinds(source.table, ("L", "P"))
    measured = registry.of_folder(tables)  # once, and not for each figure
    monkeypatch.setattr(registry, "of_folder", lambda _: measured)
    for name, (_, laws) in SHOWN.items():
        names = {one.name for one in declared()}
        assert all(any(known.startswith(law) for known in names) for law in laws), name
        rows = [row for row in readings(name, tables) if row.estimate is not None]
        assert all(row.name.startswith(laws) for row in rows)
        if name in ("fig1", "fig5", "fig9", "fig11"):
            assert AGREES in {row.verdict for row in rows}, name


def test_a_law_that_is_not_there_is_said_plainly(source):
    table = source.table.assign(
        **{"weights/change": source.table["weights/change"] * source.table["sqrt_h_alpha"] ** -0.5}
    )
    rows = [row for row in readings("fig9", kinds(table, ("L", "P"))) if row.name.startswith("weight change, ")]
    assert {row.verdict for row in rows if row.estimate is not None} == {DIFFERS}


def test_error_bars_are_those_of_the_seeds(sheets):
    """Errors of the seeds are planted 1e-3 apart: the standard error of three is 1e-3/√3, and a curve's is the same."""
    part = sheets["fig3"].data().query("panel == 'c'")
    np.testing.assert_allclose(part["error"], 1e-3 / np.sqrt(3), rtol=1e-9)
    # What a seed adds everywhere shifts the rescaled curve as a whole, and is no error of its shape.
    assert sheets["fig3"].data().query("panel == 'd'")["error"].abs().max() < 1e-9


def test_variance_is_that_of_the_stored_predictors(sheets, source):
    row = sheets["fig4"].data().query("panel == 'b' and series == 'h = 100'").iloc[0]
    same = source.table.query("dataset == 'fashion_mnist' and P == 40 and h == 100 and L == 3 and frozen == ''")
    runs = same[np.isclose(same["sqrt_h_alpha"], row["x"]) & (same["activation"] == "softplus")]["run"]
    assert row["y"] == pytest.approx(100 * np.var([run.outputs["F_test"] for run in runs], axis=0, ddof=1).mean())


def test_other_kinds_of_runs_are_named(sheets):
    assert "(b–d) Shown: dataset = fashion_mnist" in below(sheets["fig3"])
    assert "; left out: " in below(sheets["fig3"])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("fig3", "(b) No frozen kernel: experiment=article/fig3b_kernel."),
        ("fig4", "(a) The article's is of P = 1000, another sweep: experiment=article/fig4a."),
        ("fig6", "(e) No run by Adam: experiment=article/fig6e_adam."),
        ("fig7", "(b) No run: experiment=article/fig7b."),
        ("fig8", "(c) No run of the final kernel: experiment=article/fig8c_kernel."),
        ("fig10", "(c) No run has √hα ≥ 1000."),
        ("fig12", "No run of a ReLU network has a kernel change: experiment=article/fig12."),
        ("fig13", "(a) Needs two bounds: experiment=article/fig13."),
        ("fig14", "Needs several P: experiment=article/fig14."),
        ("fig15", "(a) Only one of F = α(f − f₀) and F = αf: experiment=article/fig15."),
        ("fig16", "(a) Only one of with and without biases: experiment=article/fig16."),
        ("table2", "L = 3: no two √hα for the kernel change in the lazy regime."),
    ],
)
def test_a_missing_part_is_named_on_the_figure(tmp_path, name, sentence):
    plant(tmp_path, widths=(30, 100), xs=(1e-2, 0.1, 1.0), seeds=2)
    sheet = ARTICLE[name](open_runs([tmp_path]))
    sheet.finish()
    assert sentence in below(sheet)


def test_single_seed_lacks_error_bars_and_variance(tmp_path):
    plant(tmp_path, seeds=1)
    source = open_runs([tmp_path])
    for name, sentence in (
        ("fig4", "(b) A variance needs at least two seeds."),
        ("fig4", "(c) One seed: no error bars and no ensemble."),
        ("fig5", "(b) One seed: no error bars."),
    ):
        sheet = ARTICLE[name](source)
        sheet.finish()
        assert sentence in below(sheet)
        assert sheet.data()["error"].isna().all()


def test_half_finished_sweep_says_which_runs_are_missing(tmp_path, configure):
    plant(tmp_path, widths=(30,), xs=(0.1, 1.0))
    write_plan(tmp_path, [configure("seed=ensemble", "width.h=70", f"alpha.value={x}") for x in (1, 10)])
    sheet = ARTICLE["fig3"](open_runs([tmp_path]))
    sheet.finish()
    assert f"Missing in {tmp_path.name}: 6 of 6 planned runs (h = 70: √hα = 1, 10)." in below(sheet)


def test_runs_that_do_not_fit_are_left_out_and_counted(tmp_path):
    plant(tmp_path, widths=(30,), xs=(0.1,))
    plant(tmp_path, widths=(30,), xs=(1.0,), seeds=2, outcome="t_end")
    table = open_runs([tmp_path]).table  # one of 40 patterns is unfit: 2.5 %
    kept, sentences = fitted(table)
    assert list(kept["sqrt_h_alpha"]) == [0.1] * 3
    assert sentences == ["Left out: 2 of 5 runs that did not fit their training set (2 t_end)."]
    assert len(fitted(table, 0.04)[0]) == 5
    assert len(fitted(table, 0.01)[0]) == 3


def test_cells_of_two_sweeps_count_once(tmp_path):
    """Figs. 3 and 3b share cells and observe them differently; the one with the kernel is shown."""
    plant(tmp_path / "a", widths=(30,), xs=(1.0,))
    plant(tmp_path / "b", widths=(30,), xs=(1.0,), kernel=False, config={"observe": {"per_decade": 2}})
    table = open_runs([tmp_path / "a", tmp_path / "b"]).table
    assert len(table) == 3
    assert table["kernel_change"].notna().all()


def test_one_kind_takes_the_larger(tmp_path):
    plant(tmp_path, widths=(30,), xs=(1.0,), seeds=3)
    plant(tmp_path, widths=(30,), xs=(1.0,), seeds=2, P=80)
    table = open_runs([tmp_path]).table
    chosen, sentences = one_kind(table)
    assert set(chosen["P"]) == {40}
    assert sentences == ["Shown: P = 40; left out: 2 runs that differ in P."]
    assert len(one_kind(table, ["P"])[0]) == 5


def test_all_formats_are_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("feature_lazy.study.figures.pgf.shutil.which", lambda name: None)
    written, sentences = draw_article("fig9", [folder], tmp_path)
    assert [path.name for path in written] == ["fig9.pdf", "fig9.png", "fig9.csv"]
    assert (tmp_path / "fig9.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "fig9.png").read_bytes().startswith(b"\x89PNG")
    assert sentences[-1].startswith("PGF is left out: matplotlib measures its text with LaTeX, and none of xelatex, ")
    with pytest.raises(
        StoreError, match=r"^fig9 is drawn in none of the formats that were asked for\. PGF is left out"
    ):
        draw_article("fig9", [folder], tmp_path, ["pgf"])
    assert list(pd.read_csv(tmp_path / "fig9.csv")) == ["figure", "panel", "series", "x", "y", "error", "text"]


def test_command_line(folder, tmp_path, capsys):
    main(["figure", "fig9", str(folder), "--output", str(tmp_path), "--formats", "png"])
    shown = capsys.readouterr().out
    assert "The article: √h‖w − w₀‖/‖w₀‖: exponent −1" in shown
    assert "weight change, feature exponent" in shown
    assert f"Written: {tmp_path / 'fig9.png'}, {tmp_path / 'fig9.csv'}" in shown
    main(["list"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(ARTICLE)


def test_refusals(tmp_path, configure):
    with pytest.raises(ConfigError, match=r"fig17: there is no such figure; there are fig1, fig2"):
        draw_article("fig17", [tmp_path])
    with pytest.raises(ConfigError, match="fig3: name a results folder, such as results/article/fig3"):
        draw_article("fig3", [])
    write_plan(tmp_path, [configure("width.h=7")])
    with pytest.raises(StoreError, match=r"no complete run in .* 1 of 1 planned runs \(h = 7: √hα = 1\)"):
        draw_article("fig3", [tmp_path])
    with pytest.raises(SystemExit, match="1"):
        main(["figure", "fig3", str(tmp_path / "nothing")])

"""From a stored sweep to exponents and figures: planted laws are found again."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main as command
from feature_lazy.runs.store import Store
from feature_lazy.study import figures
from feature_lazy.study.figures.style import STYLE
from feature_lazy.study.laws import laws
from feature_lazy.study.missing import missing
from feature_lazy.study.summary import summarise
from feature_lazy.study.table import differences, ensemble, kinds, over_seeds, parts, read
from tests.runs.conftest import save

XS = tuple(10.0 ** np.arange(-3, 6))
CROSSOVER, FEATURE, LAZY = 11.0, -1.5, -1.0  # where the kernel change is 1, and its exponents below and above x = 1
Y_TEST = np.array([1.0, -1.0] * 5)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    """They take most of the time."""
    monkeypatch.setitem(STYLE, "savefig.dpi", 60)


def kernel_change(x):
    """A planted law. Its exponents change at one of the XS, so that interpolation in logarithms is exact."""
    return x ** (LAZY if x > 1 else FEATURE) / CROSSOVER**LAZY


def plant(root, *, xs=XS, widths=(30, 100), seeds=4, noise=0.05, kernel=True, columns=(), config=(), rng=0):
    """Store a sweep whose observables follow power laws, with independent noise from run to run."""
    random, store = np.random.default_rng(rng), Store(root)
    for h in widths:
        for x in xs:
            for seed in range(seeds):
                t_half, factor = 3.3 * min(x, 1.0), math.exp(noise * random.standard_normal())
                t = t_half * np.array([0.0, 0.01, 0.1, 1.0, 2.0])
                history = [{"t": s, "train/loss": 2.0 ** (-s / t_half), "output/df_rms": s * h**0.5} for s in t]
                summary = {
                    "outcome": "converged",
                    "t_half": t_half,
                    "t_stop": 2 * t_half,
                    "weights/change": factor * x ** (LAZY if x > 1 else -0.25) / h**0.5,
                    "test/error": 0.1 + 0.01 * random.random(),
                    **({"kernel/change": 9.0, "kernel/change_test": factor * kernel_change(x)} if kernel else {}),
                }
                same = {"dataset": "digits", "P": 20, "L": 3, "activation": "relu", "loss": "mse", "dynamics": "flow"}
                description = {
                    "config": dict(config),
                    "columns": {**same, "h": h, "sqrt_h_alpha": x, "alpha": x / h**0.5, "seed": seed, **dict(columns)},
                    "provenance": {},
                }
                arrays = {"F_test": Y_TEST + random.standard_normal(10) / h**0.5, "y_test": Y_TEST}
                run_id = f"{h}-{x}-{seed}-{len(dict(columns))}"
                save(store, run_id=run_id, description=description, rows=history, summary=summary, outputs=arrays)
    return root


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read(plant(tmp_path_factory.mktemp("planted")))


def test_reads_the_best_kernel_change(table):
    assert len(table) == 9 * 2 * 4
    assert (table["kernel_change"] == table["kernel/change_test"]).all()


def test_laws_are_reported_with_their_planted_values(table):
    found = {law.name: law.estimate for law in laws(table)}
    for name, planted in {
        "kernel change, lazy exponent": LAZY,
        "kernel change, feature exponent": FEATURE,
        "weight change, lazy exponent": LAZY,
        "weight change, feature exponent": -0.25,
        "half-loss time, feature exponent": 1.0,
        "kernel change = 1, h = 30": CROSSOVER,
        "kernel change = 1, h = 100": CROSSOVER,
        "variance against h, lazy": -1.0,
    }.items():
        # Error bars of 95 %, and half as much again: eight of them are looked at.
        assert abs(found[name].value - planted) <= 1.5 * found[name].error + 1e-9, name


def test_mean_over_seeds(table):
    means = over_seeds(table, "test/error").set_index(["h", "sqrt_h_alpha"])
    part = table[(table["h"] == 30) & (table["sqrt_h_alpha"] == 1.0)]["test/error"]
    assert means.loc[(30, 1.0), "mean"] == pytest.approx(part.mean())
    assert means.loc[(30, 1.0), "sem"] == pytest.approx(part.std(ddof=1) / 2)
    assert means.loc[(30, 1.0), "n"] == 4


def test_ensemble_statistics(table):
    """Eqs. 15–16 from the stored predictors; h·Var is flat because the planted Var is 1/h."""
    statistics = ensemble(table).set_index(["h", "sqrt_h_alpha"])
    group = table[(table["h"] == 30) & (table["sqrt_h_alpha"] == 1.0)]
    predictors = np.stack([run.outputs["F_test"] for run in group["run"]])
    mean = predictors.mean(0)
    row = statistics.loc[(30, 1.0)]
    assert row["variance"] == pytest.approx(((predictors - mean) ** 2).sum(0).mean() / 3)
    assert row["error"] == np.mean(mean * Y_TEST <= 0)
    assert row["single"] == np.mean(predictors * Y_TEST <= 0)
    # 9 α × 10 patterns × 3 degrees of freedom: relative standard error √(2/270) = 9 %, and four of them.
    for h, group in statistics.groupby("h"):
        assert h * group["variance"].mean() == pytest.approx(1, rel=0.36)


def drawn(folder):
    names = [path.stem for path in summarise(folder)]
    assert all((folder / "figures" / f"{name}.png").stat().st_size > 2000 for name in names)
    return set(names)


def test_every_figure_of_a_full_sweep(tmp_path, capsys):
    assert drawn(plant(tmp_path)) == set(figures.FIGURES)
    shown = capsys.readouterr().out
    assert "arXiv:1906.08034" in shown
    assert "Outcomes: 72 converged" in shown
    assert "There is one" not in shown


@pytest.mark.parametrize(
    ("sweep", "absent", "sentence"),
    [
        ({"seeds": 1}, {"variance"}, "There is one seed"),
        ({"kernel": False}, {"phase_diagram", "kernel_change"}, "The kernel change was not measured"),
        ({"xs": (1e3,), "widths": (30,), "seeds": 1}, {"variance", "output_growth"}, "There is one width"),
    ],
    ids=["one seed", "no kernel", "one run"],
)
def test_small_sweeps_lack_only_what_they_cannot_show(tmp_path, capsys, sweep, absent, sentence):
    assert drawn(plant(tmp_path, **sweep)) == set(figures.FIGURES) - absent
    assert sentence in capsys.readouterr().out


def test_figures_as_files_of_the_kinds_that_are_asked_for(tmp_path, capsys):
    plant(tmp_path / "runs", seeds=2)
    asked = ("--formats", "pdf", "csv", "--width", "3.4in", "--output", str(tmp_path / "out"), "--where", "h=30")
    assert command(["figures", str(tmp_path / "runs"), *asked]) == 0
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".pdf", ".csv"}
    assert not (tmp_path / "runs" / "figures").exists()
    kept = pd.read_csv(tmp_path / "out" / "kernel_change.csv")
    assert set(kept["series"]) == {"h = 30"}
    np.testing.assert_allclose(kept["x"], XS)
    np.testing.assert_allclose(kept["y"], over_seeds(read(tmp_path / "runs", where=["h=30"]), "kernel_change")["mean"])
    assert f"feature-lazy report {tmp_path / 'runs'}" in capsys.readouterr().out.replace("\n", "")
    assert command(["figures", str(tmp_path / "runs"), "--where", "h=31"]) == 1
    assert "where h=31: no run has it; there are h = 30" in capsys.readouterr().err


@pytest.mark.parametrize("name", figures.FIGURES)
def test_legends_lie_outside_of_what_is_drawn(name, tmp_path):
    with plt.rc_context(STYLE):
        sheet = figures.FIGURES[name](read(plant(tmp_path, seeds=2)))
        sheet.figure.draw_without_rendering()
    assert not sheet.axes["a"].get_title(loc="left")
    assert sheet.axes["a"].get_legend() is None
    [legend] = sheet.figure.legends
    assert not legend.get_window_extent().overlaps(sheet.axes["a"].get_window_extent())


def test_run_that_did_not_converge_spoils_no_figure(tmp_path):
    plant(tmp_path, seeds=2)
    same = read(tmp_path)["run"][0].columns
    for outcome, x in (("dt_floor", 1e-3), ("non_finite", 1e5)):
        columns = {**same, "sqrt_h_alpha": x, "seed": 0, "h": 30}
        summary = {"outcome": outcome, "t_half": None, "t_stop": None, "weights/change": None, "test/error": 1.0}
        description = {"config": {}, "columns": columns, "summary": summary, "provenance": {}}
        arrays = {"F_test": np.full(10, np.nan), "y_test": Y_TEST}
        rows = [{"t": 0.0, "train/loss": 1.0, "output/df_rms": 0.0}]
        ready = {"run_id": f"30-{x}-0-0", "description": description, "summary": summary, "outputs": arrays}
        save(Store(tmp_path), rows=rows, **ready)
    assert drawn(tmp_path) == set(figures.FIGURES)


def test_mixed_sweep_is_refused(tmp_path):
    plant(tmp_path, xs=(1.0,))
    plant(tmp_path, xs=(1.0,), columns={"P": 40}.items())
    with pytest.raises(StoreError, match="mixes runs with P = 20, 40; figures need one: --where P=20"):
        read(tmp_path)


def test_mixed_sweep_can_be_asked_for(tmp_path):
    plant(tmp_path, xs=(1.0,))
    plant(tmp_path, xs=(1.0,), columns={"L": 2}.items())
    assert differences(read(tmp_path, mixed=("L",))) == {"L": [2, 3]}
    assert {label: (len(part), part["L"].unique()) for label, part in parts(tmp_path).items()} == {
        "L = 2": (8, [2]),
        "L = 3": (8, [3]),
    }


def test_parts_come_in_the_order_of_their_values(tmp_path):
    """Not in that of the runs' ids, which say nothing; numbers by size, and last what has no such key."""
    for x, layers, config in ((1.0, 10, {}), (2.0, 3, {"centred": False}), (3.0, 2, {}), (4.0, 2, {"centred": False})):
        plant(tmp_path, xs=(x,), widths=(30,), seeds=1, columns={"L": layers}.items(), config=config)
    names = ["L = 2, centred = False", "L = 2", "L = 3, centred = False", "L = 10"]
    assert list(parts(tmp_path)) == names
    assert list(kinds(pd.concat(parts(tmp_path).values()).iloc[::-1])) == names


def test_runs_that_differ_in_a_key_that_is_no_column_are_not_mixed(tmp_path):
    """Biases and ε_∇ are in the configuration alone; α, width, seed and what is observed may differ."""
    bias = {"architecture": {"bias": 0.1}, "observe": {"per_decade": 6, "times": [1.0]}, "width": {"h": 100}}
    plant(tmp_path, xs=(1.0,), widths=(30,), config={"architecture": {"bias": 0.0}, "observe": {"times": []}})
    plant(tmp_path, xs=(1.0,), widths=(100,), config=bias)
    with pytest.raises(StoreError, match=r"mixes runs with architecture\.bias = 0\.0, 0\.1; figures need one"):
        read(tmp_path)
    assert len(read(tmp_path, mixed=("architecture.bias",))) == 8
    assert sorted(parts(tmp_path)) == ["architecture.bias = 0.0", "architecture.bias = 0.1"]


def test_key_that_an_option_does_not_have_is_not_in_the_name_of_its_runs(tmp_path):
    plant(tmp_path, xs=(1.0,), config={"dynamics": {"kind": "frozen_kernel", "at": "end"}})
    plant(tmp_path, xs=(2.0,), config={"dynamics": {"kind": "gradient_flow"}})
    assert sorted(parts(tmp_path)) == [
        "dynamics.kind = frozen_kernel, dynamics.at = end",
        "dynamics.kind = gradient_flow",
    ]


def test_key_that_only_some_runs_have_makes_a_mixture(tmp_path):
    """F = αf is stored as centred = false, and F = α(f − f₀) as nothing, as it was before there was a choice."""
    plant(tmp_path, xs=(1.0,), config={"dtype": "float64"})
    plant(tmp_path, xs=(2.0,), config={"dtype": "float64", "centred": False})
    with pytest.raises(StoreError, match="centred = False, not set; figures need one: --where centred=False"):
        read(tmp_path)
    assert sorted(parts(tmp_path)) == ["centred = False", "otherwise"]


def test_sweep_of_one_kind_is_one_part(tmp_path):
    (label, part), *others = parts(plant(tmp_path, xs=(1.0,))).items()
    assert (label, others) == ("", [])
    pd.testing.assert_frame_equal(part.drop(columns="run"), read(tmp_path).drop(columns="run"))


def test_of_two_data_sets_the_name_is_enough(tmp_path):
    """What else is not the same follows from it; within one of them it would not."""
    for name, n in (("digits", 1.0), ("mnist5k", 2.0)):
        plant(tmp_path, xs=(n,), columns={"dataset": name}.items(), config={"dataset": {"kind": name, "n": n}})
    assert list(differences(read(tmp_path, mixed=("dataset",)))) == ["dataset"]


def test_half_finished_sweep_says_what_is_missing(tmp_path):
    plant(tmp_path, seeds=2)
    run = read(tmp_path)["run"][1]
    (run.path / "done").unlink()
    assert missing(read(tmp_path)) == [
        "1 of the 36 cells of the grid have no complete run: h = 30, √hα = 0.001, seed 1."
    ]


def test_empty_folder_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    with pytest.raises(StoreError, match="There is no complete run in"):
        read(tmp_path)
    monkeypatch.setattr("sys.argv", ["analysis", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "There is no complete run in" in capsys.readouterr().err

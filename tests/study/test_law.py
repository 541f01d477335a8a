"""Laws from outside: by name and by entry point, in the table, in the report, and refused in a sentence."""

import subprocess
import sys

import numpy as np
import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.commands import main, modules
from feature_lazy.study import law as registry
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import slope, start_slope
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.laws import laws
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from tests.conftest import ROOT
from tests.study.conftest import sweep
from tests.study.stored_sweeps import plant

OURS = """
import numpy as np
from feature_lazy.study.exponents import slope
from feature_lazy.study.law import law

@law("weight change, their exponent", paper="2401.00001", where="Fig. 7", needs=("weights/change",), expected=-0.5)
def theirs(table):
    return slope(table, "weights/change", (0.0, np.inf))
"""

OTHER = """
@law("a law with a typo", paper="2401.00001", needs=("weights/change",), expected=-0.5)
def other(table):
    return slope(table, "weights/chnage", (0.0, np.inf))
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """What a test declares is gone after it."""
    registry.declared()
    monkeypatch.setattr(registry, "_declared", dict(registry._declared))
    monkeypatch.setattr(registry, "_failed", {})


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a module into a folder on Python's path, and with ``entry`` the distribution that names it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("COLUMNS", "300")

    def write(name, text, *, entry=False):
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        if entry:
            facts = folder / f"{name}-1.0.dist-info"
            facts.mkdir()
            (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (facts / "entry_points.txt").write_text(f"[{registry.ENTRY_POINT}]\n{name} = {name}\n")
            monkeypatch.setattr(registry, "_order", {})

    return write


def everywhere(folder, capsys, *arguments):
    """What the terminal and the report say of a folder."""
    known = dict(registry._declared)
    assert main(["laws", str(folder), *arguments]) == 0
    shown = capsys.readouterr().out
    if arguments:  # as in a process of its own
        registry._declared.clear()
        registry._declared.update(known)
    assert main(["report", str(folder), *arguments]) == 0
    return shown, (folder / "report.html").read_text()


@pytest.mark.parametrize("entry", [False, True])
def test_law_from_outside_is_in_the_table_and_in_the_report(package, tmp_path, capsys, entry):
    package("their_laws", OURS, entry=entry)
    folder = plant(tmp_path / "sweep")
    for text in everywhere(folder, capsys, *(() if entry else ("--law", "their_laws.theirs"))):
        assert "weight change, their exponent" in text
        assert "arXiv:2401.00001, Fig. 7" in text


def test_plugin_that_fails_is_named_and_costs_nothing_else(package, tmp_path, capsys):
    package("broken_laws", "import a_module_that_is_nowhere\n", entry=True)
    for text in everywhere(plant(tmp_path / "sweep"), capsys):
        assert "The laws of the plug-in broken_laws (broken_laws) are missing: ModuleNotFoundError" in text
        assert "kernel change, lazy exponent" in text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "nowhere.law",
            "(ModuleNotFoundError: No module named 'nowhere'). It must be on Python's path: set PYTHONPATH",
        ),
        (
            "broken.law",
            "--law broken.law: its module cannot be imported (NameError: name 'undefined' is not defined).\n",
        ),
        ("their_laws.their", "their_laws has no their; its laws: theirs, other. Did you mean theirs"),
        ("their_laws.slope", "--law their_laws.slope: it is no law; put @law"),
        ("law", "--law law: name its module too, such as module.law."),
    ],
)
def test_path_of_no_law_is_refused_in_a_sentence(package, tmp_path, capsys, path, sentence):
    package("their_laws", OURS + OTHER)
    package("broken", "undefined")
    assert main(["laws", str(tmp_path), "--law", path]) == 1
    assert sentence in capsys.readouterr().err


def test_two_laws_of_one_name_and_paper_are_refused(package):
    package("their_laws", OURS)
    package("other_laws", OURS)
    registry.add("their_laws.theirs")
    with pytest.raises(ConfigError, match="declared twice: in their_laws and in other_laws"):
        registry.add("other_laws.theirs")
    package("third_laws", OURS.replace("2401.00001", "2401.00002"))
    assert registry.add("third_laws.theirs").paper == "2401.00002"


@pytest.mark.parametrize("table", [sweep(runs=False), sweep(runs=False, **{"test/ece": np.nan})])
def test_column_that_no_run_has_is_a_sentence(table):
    @law("ECE", paper="2401.00001", needs=("test/ece",), expected=0)
    def ece(table):
        return Estimate(float(table["test/ece"].mean()), 0.0, 3)

    [row] = [row for row in laws(table) if row.name == "ECE"]
    assert (row.measured, row.verdict) == (
        "needs the column test/ece, which no run has (observe/also=[calibration])",
        CANNOT_TELL,
    )
    [row] = [row for row in laws(table.assign(**{"test/ece": 0.0})) if row.name == "ECE"]
    assert row.verdict == AGREES


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (lambda table: table["no such column"], "KeyError: 'no such column'"),
        (lambda table: slope(table, "kernel_chnage", (0.0, np.inf)), "{} kernel_chnage. Did you mean kernel_change?"),
        (lambda table: start_slope(table, "output/df_rsm"), "{} output/df_rsm. Did you mean output/df_rms?"),
    ],
)
def test_law_that_fails_says_so(measure, why):
    law("theirs", paper="2401.00001", expected=0)(measure)
    [row] = [row for row in laws(sweep()) if row.name == "theirs"]
    assert (row.measured, row.verdict) == (
        f"could not be measured ({why.format('No run has the column')})",
        CANNOT_TELL,
    )
    assert row.failed


def test_the_law_that_is_named_is_judged_and_no_other_of_its_module(package, tmp_path, capsys):
    package("their_laws", OURS + OTHER)
    folder = plant(tmp_path / "sweep")
    assert main(["laws", str(folder), "--law", "their_laws.theirs"]) == 0
    shown = capsys.readouterr().out
    assert "weight change, their exponent" in shown
    assert "a law with a typo" not in shown
    assert main(["laws", str(folder), "--law", "their_laws.theirs", "--law", "their_laws.other"]) == 1
    assert "weights/chnage. Did you mean weights/change?): a law with a typo." in capsys.readouterr().out


def test_columns_near_one_that_no_run_has_are_named():
    law("theirs", paper="2401.00001", needs=("kernel_chnage",), expected=0)(lambda table: None)
    [row] = [row for row in laws(sweep(runs=False)) if row.name == "theirs"]
    assert row.measured == "needs the column kernel_chnage, which no run has: did you mean kernel_change?"


def test_a_law_may_ask_for_runs_that_ended_otherwise():
    @law("ended", paper="2401.00001", expected=3, outcomes=("converged", "t_end"))
    def ended(table):
        return Estimate(float(table["seed"].nunique()), 0.0, 3)

    @law("fit", paper="2401.00001", expected=2)
    def fit(table):
        return Estimate(float(table["seed"].nunique()), 0.0, 3)

    table = sweep(runs=False)
    table.loc[table["seed"] == 0, "outcome"] = "t_end"
    found = {row.name: row.verdict for row in laws(table)}
    assert (found["ended"], found["fit"]) == (AGREES, AGREES)


def two_orders(first, seeds=5, widths=(30, 100, 300)):
    """A kernel change A/(hα) + B/(√hα)² that is 1 at √hα = 8, above x = 1."""
    table = sweep(3, seeds=seeds, widths=widths, runs=False)
    h, x = table["h"], table["sqrt_h_alpha"]
    noise = np.exp(0.02 * np.random.default_rng(1).standard_normal(len(table)))
    lazy = first / np.sqrt(h) / x + (64 - 8 * first / np.sqrt(100)) / x**2
    return table.assign(kernel_change=np.where(x > 1, lazy, 64 * x**-1.5) * noise)


def test_kernel_change_falls_with_the_width_deep_in_the_lazy_regime_only():
    """From where the second order is a tenth of the first at h = 300 on: 10·√h·B/A = 343, with x* between 1 and 10."""
    row = {row.name: row for row in laws(two_orders(23.0))}["kernel change against h, lazy"]
    assert row.verdict == AGREES
    assert row.estimate.value == pytest.approx(-0.5, abs=0.05)
    assert 300 < float(row.where.rsplit("≥", 1)[1]) < 500
    assert row.paper != ARTICLE
    flat = two_orders(23.0)
    flat["kernel_change"] *= np.where(flat["sqrt_h_alpha"] > 1, np.sqrt(flat["h"] / 100), 1)
    assert {row.name: row for row in laws(flat)}["kernel change against h, lazy"].verdict == DIFFERS


@pytest.mark.parametrize(
    ("kind", "better", "verdict"),
    [
        ({"dataset": "fashion_mnist", "architecture": "fully_connected"}, "lazy", AGREES),
        ({"dataset": "fashion_mnist", "architecture": "fully_connected"}, "feature", DIFFERS),
        ({"dataset": "mnist pca10", "architecture": "fully_connected"}, "feature", AGREES),
        ({"dataset": "cifar10", "architecture": "cnn"}, "lazy", DIFFERS),
        ({"dataset": "stripe", "architecture": "fully_connected"}, "lazy", None),
    ],
)
def test_which_regime_is_ahead(kind, better, verdict):
    """Planted errors are 15 % in one regime and 10 % in the other."""
    table = sweep(2, seeds=5, runs=False, dynamics="gradient_flow", **kind)
    ahead = (table["sqrt_h_alpha"] > 10) == (better == "lazy")
    table["test/error"] = np.where(ahead, 0.1, 0.15) + 1e-3 * np.random.default_rng(0).standard_normal(len(table))
    found = [row for row in laws(table) if row.name == "test error, feature less lazy"]
    assert [row.verdict for row in found] == ([verdict] if verdict else [])
    if verdict:
        assert found[0].estimate.value == pytest.approx(0.05 if better == "lazy" else -0.05, abs=0.005)


def test_every_law_has_a_paper_and_a_name_of_its_own():
    known = registry.declared()
    assert len({(one.name, one.paper) for one in known}) == len(known) > 25
    # Of the systems only what was looked up in a paper is cited by number.
    assert all(one.paper and (one.where or ".systems." in one.module) and one.measure.__doc__ for one in known)


def test_commands_are_found_and_help_imports_nothing_heavy():
    assert {"figures", "laws", "report", "dashboard", "status"} <= set(modules())
    code = "import sys; from feature_lazy.launch.commands import parser; parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "matplotlib", "scipy", "rich"} & set(done.stdout.split())


def test_laws_stand_in_the_order_of_their_modules_whichever_was_imported_first(monkeypatch):
    modules = [one.module for one in registry.declared() if not one.foreign]
    assert modules[0] == registry.FIRST[0]
    monkeypatch.setattr(registry, "_declared", dict(reversed(registry._declared.items())))
    assert [one.module for one in registry.declared() if not one.foreign] == modules


def test_runs_that_ended_otherwise_lack_their_end_and_no_column():
    table = sweep().assign(outcome="max_steps")
    said = {row.measured for row in laws(table) if row.estimate is None}
    assert "needs runs that ended as converged or stationary" in said
    assert not [one for one in said if "which no run has" in one]

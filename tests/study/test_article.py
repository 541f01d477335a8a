"""The article's experiments: every sweep is valid, small ones are small, and one cell of each kind trains."""

import itertools
import math
import re

import pytest
import yaml

from analysis.figures.registry import ARTICLE
from benchmarks.gallery import page, sweeps_of
from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.settings.cells import cells, scientific
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import composed, sized
from tests.conftest import ROOT, TINY, composer

FOLDER = ROOT / "conf" / "experiment" / "article"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SWEEPS = [name for name in NAMES if "output_dir" in (FOLDER / f"{name}.yaml").read_text()]
LOCAL = {"digits", "mnist5k", "mnist1d"}
"""Sets that need no download."""


def every_value(experiment):
    """Jobs of a sweep in which each value of each parameter occurs: parameters are independent of each other."""
    jobs = composer(f"experiment={experiment}")
    assert jobs.master.hydra.mode.name == "MULTIRUN"
    choices = [[f"{k}={v}" for v in str(values).split(",")] for k, values in jobs.master.hydra.sweeper.params.items()]
    for row in itertools.zip_longest(*choices):
        values = [value or choice[0] for value, choice in zip(row, choices, strict=True)]
        yield jobs.typed([f"experiment={experiment}", *values])


@pytest.mark.parametrize("name", SWEEPS)
def test_every_job_is_valid_at_both_sizes(name):
    article, small = (list(every_value(f"article/{size}{name}")) for size in ("", "small/"))
    for config in (*article, *small):
        validate(config)
    kind = {(c.architecture.kind, c.activation.kind, c.dynamics.kind, c.loss.kind) for c in article}
    assert {(c.architecture.kind, c.activation.kind, c.dynamics.kind, c.loss.kind) for c in small} == kind
    assert all(c.dataset.kind in LOCAL and c.dataset.n_train <= 400 for c in small)
    folders = {c.output_dir for c in article}, {c.output_dir for c in small}
    assert all(len(folder) == 1 for folder in folders)
    assert folders[1].pop() == folders[0].pop().replace("results/article", "results/small")
    for size, jobs in (("", article), ("small/", small)):
        [asked] = {len(cells(config)) for config in jobs}
        params = composer(f"experiment=article/{size}{name}").master.hydra.sweeper.params
        values = [len(str(one).split(",")) for one in params.values()]
        assert f"# Cost:     {math.prod(values) * asked} runs, " in (FOLDER / f"{size}{name}.yaml").read_text()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SWEEPS])
def test_figures_of_one_sweep_share_it(name):
    for size in ("", "small/"):
        [base] = yaml.safe_load((FOLDER / f"{size}{name}.yaml").read_text())["defaults"]
        assert base == f"/experiment/article/{size}fig3"


def test_every_figure_of_a_sweep_has_an_experiment_and_a_small_one():
    assert {f"fig{n}" for n in range(3, 17)} | {"table1", "table2"} <= set(NAMES)
    assert {path.stem for path in (FOLDER / "small").glob("*.yaml")} == set(NAMES)
    for name in ARTICLE:
        assert sweeps_of(name) or name == "fig2"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_header_has_command_cost_and_expected_result(path):
    header = path.read_text().split("\ndefaults:")[0]
    small = path.parent.name == "small"
    assert f"python train.py experiment=article/{path.stem}" + (" size=small" if small else "\n") in header
    if path.stem in SWEEPS:
        assert re.search(r"# Cost: +\d+ runs, about", header)
        assert small or "# Expected: " in header


def test_size_chooses_the_experiment_and_is_no_key_of_it():
    assert sized(["-m", "experiment=article/fig3", "size=small"]) == ["-m", "experiment=article/small/fig3"]
    assert sized(["size=small", "+experiment=article/fig3", "a=1"]) == ["+experiment=article/small/fig3", "a=1"]
    assert sized(["experiment=article/fig3", "size=article"]) == ["experiment=article/fig3"]
    assert sized(["experiment=demo"]) == ["experiment=demo"]
    both = ["experiment=article/small/fig3,article/small/fig9"]
    assert sized(["experiment=article/fig3,article/fig9", "size=small"]) == both
    assert sized([*both, "size=small"]) == both
    by_size = composed(["experiment=article/fig3", "size=small"])
    assert by_size == composed(["experiment=article/small/fig3"])
    assert by_size.dataset.kind == "digits"
    assert composed(["experiment=article/fig3"]).dataset.kind == "fashion_mnist"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("experiment=article/fig3 size=tiny", "size=tiny: must be one of article, small."),
        ("experiment=demo size=small", "size=small: only the article's experiments have sizes"),
        ("size=small", "size=small: only the article's experiments have sizes"),
    ],
)
def test_size_without_meaning_is_refused(arguments, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        sized(arguments.split())


def test_gallery_shows_commands_and_the_verdicts_of_the_court():
    law = {"name": "‖w‖", "where": "Fig. 9", "expected": "−1", "measured": "−0.5", "verdict": "differs"}
    entry = {"says": "It falls.", "laws": [law], "notes": ["One seed: no error bars."]}
    record = {"fig9": entry, "fig2": {**entry, "laws": []}}
    text = page(record, {"fig3": 61.2})
    assert "| ‖w‖ | Fig. 9 | −1 | −0.5 | differs |" in text
    assert text.index("Figure 2") < text.index("No law of this figure") < text.index("Figure 9")
    assert "*One seed: no error bars.*" in text
    assert "python train.py experiment=article/fig3 size=small  # 61 s here" in text
    assert "python -m analysis figure fig9 results/small/fig3\n" in text
    assert sweeps_of("fig4") == {"fig3": ["fig3", "fig3b", "fig3b_kernel"], "fig4a": ["fig4a"]}


SHRUNKEN = ("dataset.n_train=20", "dataset.n_test=20", "seed.members=1", "observe.per_decade=1", "observe.n_test=20")
KINDS = {
    "fig3": ("width.h=8", "observe.kernel.probe=10"),
    "fig3b_kernel": ("width.h=8",),
    "fig7b": ("width.h=2", "alpha.value=10", "dynamics.updates=3"),
    "fig8": ("dataset.n_train=4", "observe.kernel.probe=4", "dynamics.max_steps=1000", "dynamics.tolerance=1"),
    "fig8c_kernel": ("width.h=20", "architecture.depth=2", "alpha.value=1e4", "dynamics.at=end"),
    "fig11": ("width.h=8",),
    "fig13": ("width.h=8", "alpha.value=10", "dynamics.eps_gradient=1e-2"),
    "fig14": ("width.h=8",),
    "fig15": ("width.h=8", "centred=false", "alpha.value=1"),
    "fig16": ("width.h=8", "architecture.bias=0.1"),
}
"""One experiment for each kind of network, dynamics and observation, and what makes it quick."""


@pytest.mark.parametrize("name", KINDS)
def test_one_shrunken_cell_trains(tmp_path, name):
    config = composed([f"experiment=article/{name}", "size=small", *SHRUNKEN, *KINDS[name], f"output_dir={tmp_path}"])
    [run_id] = train_config(config)
    run = load_run(tmp_path / "runs" / run_id)
    assert run.done
    assert run.summary["outcome"] in ({"t_end", "converged"} if config.dynamics.kind == "adam" else {"converged"})
    assert ("theta_end" in run.outputs) == (name == "fig8")
    if name == "fig8":
        start, end = run.outputs["theta_start"], run.outputs["theta_end"]
        change = ((end - start) ** 2).sum() ** 0.5 / (start**2).sum() ** 0.5
        assert change == pytest.approx(run.summary["kernel/change"], rel=1e-9)  # the same sums in another order


def test_without_f0_the_predictor_is_alpha_f(configure, tmp_path):
    """At t = 0 it is α·f₀ and not 0, and what is stored at the end is α(f₀ + Δ) with the recorded size of Δ."""
    small = (*TINY, "alpha.value=3", f"output_dir={tmp_path}")
    config = configure(*small, "centred=false")
    [run_id] = train_config(config)
    run = load_run(tmp_path / "runs" / run_id)
    alpha, f0 = run.columns["alpha"], run.outputs["f0_train"]
    margins = alpha * f0 * run.outputs["y_train"]
    assert run.history["train/margin_min"][0] == pytest.approx(margins.min(), rel=1e-12)
    change = run.outputs["F_train"] / alpha - f0
    assert run.summary["output/train/df_rms"] == pytest.approx((change**2).mean() ** 0.5, rel=1e-9)
    assert (run.outputs["F_train"] * run.outputs["y_train"]).min() >= 1 - 1e-9  # converged
    centred = load_run(tmp_path / "runs" / train_config(configure(*small))[0])
    assert centred.history["train/margin_min"][0] == 0


def test_later_keys_leave_old_ids_alone(configure):
    """``centred`` and ``matrices`` are part of a run's identity only where they are set."""
    default = configure()
    assert "centred" not in scientific(default)
    assert "matrices" not in scientific(default)["observe"]["kernel"]
    ids = {cells(configure(*o))[0].run_id for o in ([], ["centred=false"], ["observe.kernel.matrices=true"])}
    assert len(ids) == 3
    assert cells(configure("centred=true"))[0].run_id in ids

"""A run from its configuration to its files: golden values, skipping, continuing, and what must not disturb it."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import HISTORY, OUTPUTS
from feature_lazy.runs.train import run
from feature_lazy.settings.config import Config
from tests.conftest import QUICK
from tests.settings.test_config import EXPERIMENTS

GOLDEN_MEANT = (
    "The smoke run gives other numbers, so every stored run is stale. If that was meant (another step rule, "
    "initialisation, split, …), raise SCIENCE_VERSION in feature_lazy/settings/cells.py and put the new numbers here."
)


def train(config: Config):
    """The runs of a configuration, trained where they are not stored."""
    return run(build(config))


def contents(stored):
    """The science of a stored run: bytes of its history and outputs, and its summary."""
    return (stored.path / HISTORY).read_bytes(), (stored.path / OUTPUTS).read_bytes(), stored.summary


def numbers(stored):
    """All numbers of a summary, to be compared up to rounding."""
    return {name: value for name, value in stored.summary.items() if isinstance(value, int | float)}


def stamps(stored):
    """Content and time of every file."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in stored.path.iterdir()}


def test_golden_observation(tiny):
    """By the article's rule: ``auto`` follows rounding at the edge of stability, and differs between processors."""
    [stored] = train(tiny("alpha.value=0.1", "dynamics.stepper=article"))
    golden = {
        "t": 0.31622776601683794,
        "train/loss": 0.7706751591786813,
        "train/error": 0.1,
        "train/margin_min": -0.0909550955153103,
        "train/margin_median": 0.12975194196205742,
        "train/margin_max": 0.8527669597328537,
        "train/unfit": 20.0,
        "test/loss": 0.9713454120459162,
        "test/error": 0.4,
        "test/margin_min": -0.6268558559454431,
        "test/margin_median": 0.021144960608467246,
        "test/margin_max": 0.4980503907684198,
        "test/unfit": 20.0,
        "output/f_rms": 6.207074004606991,
        "output/df_rms": 6.1631580769285375,
        "output/alpha_df_rms": 0.21790054348604052,
        "output/train/f_rms": 9.310211790140617,
        "output/train/df_rms": 9.495553303491215,
        "output/train/alpha_df_rms": 0.33571850660084807,
        "weights/norm": 26.95105460615614,
        "weights/change": 0.25603265848677553,
        "weights/W0/change": 0.1567839000977146,
        "weights/W1/change": 0.34034984492401443,
        "weights/W2/change": 2.5380657233379345,
        "kernel/change": 11.272842170697912,
        "kernel/norm": 135.6736501028194,
        "kernel/mean": 4.283777990050656,
        "kernel/trace": 288.5788126822669,
        "kernel/alignment": 0.18353030396364586,
        "kernel/lga": 0.19342489604697446,
    }
    [row] = [row for row, t in enumerate(stored.history["t"]) if t == golden["t"]]
    found = {name: float(values[row]) for name, values in stored.history.items()}
    # Measured: other chunks and other batches move the last bits, by less than 1e-12.
    assert found == pytest.approx(golden, rel=1e-8), GOLDEN_MEANT


def test_history_begins_at_rest_and_ends_at_the_stop(tiny):
    [stored] = train(tiny("alpha.value=0.1"))
    history, summary = stored.history, stored.summary
    assert summary["outcome"] == "converged"
    first = {name: values[0] for name, values in history.items()}
    assert first["t"] == first["weights/change"] == first["kernel/change"] == first["output/df_rms"] == 0
    # ℓ(0) = ln(1 + e²⁰)/20, and F·y = 0 counts as an error.
    assert first["train/loss"] == pytest.approx(math.log1p(math.exp(20)) / 20, rel=1e-12)
    assert first["train/error"] == 1
    assert history["t"][-1] == summary["t_stop"] == summary["t"]
    # Located to dt/2¹² of a step in which F moves by about 1.
    assert history["train/margin_min"][-1] == pytest.approx(1, abs=1e-3)
    assert history["train/margin_min"][-1] > 1
    assert 0 < summary["t_half"] < summary["t_stop"]
    # In between the times are those of the grid, 10^{k/2}.
    grid = 2 * torch.log10(torch.from_numpy(history["t"][1:-1]))
    torch.testing.assert_close(grid, grid.round(), rtol=0, atol=1e-9)
    assert len(grid) > 4


def test_second_call_trains_nothing(tiny, monkeypatch):
    [first] = train(tiny(*QUICK))
    before = stamps(first)
    monkeypatch.setattr("feature_lazy.runs.training.integrate", None)  # calling it would raise
    [second] = train(tiny(*QUICK, "threads=1", "dynamics.max_steps=7"))
    assert second.path == first.path
    assert stamps(second) == before


def test_another_seed_trains_only_what_is_new(tiny):
    [first] = train(tiny(*QUICK, "seed=ensemble", "seed.members=1"))
    before = stamps(first)
    both = train(tiny(*QUICK, "seed=ensemble", "seed.members=2"))
    assert [stored.columns["seed"] for stored in both] == [0, 1]
    assert stamps(both[0]) == before
    assert both[1].manifest["provenance"]["trained_together"] == 1


def test_trained_together_or_alone(tiny, tmp_path):
    """Members keep their own clock; only the rounding of batched products may differ."""
    together = train(tiny(*QUICK, "seed=ensemble", "seed.members=3"))
    alone = train(tiny(*QUICK, "seed.value=2", f"output_dir={tmp_path / 'alone'}"))
    assert alone[0].run_id == together[2].run_id
    assert numbers(alone[0]) == pytest.approx(numbers(together[2]), rel=1e-9)


def test_stopped_by_a_budget_and_continued_is_bit_for_bit_the_same(tiny, tmp_path):
    job = (*QUICK, "seed=ensemble", "seed.members=2")
    whole = train(tiny(*job, f"output_dir={tmp_path / 'whole'}"))
    tried = sorted(run.summary["steps"] + run.summary["rejected"] for run in whole)
    assert tried[0] < tried[1]
    # At the second to last budget one member is just done, and the other goes on alone.
    for budget, left in [(1, 2), (2, 2), (50, 2), (tried[0], 1), (tried[1], 0)]:
        parts = train(tiny(*job, f"dynamics.max_steps={budget}"))
        assert sorted(part.done for part in parts) == sorted([False] * left + [True] * (2 - left))
        assert all(part.done or part.summary["outcome"] == "max_steps" for part in parts)
    assert [contents(part) for part in parts] == [contents(part) for part in whole]


def test_time_budget_continues_too(tiny, tmp_path):
    whole = train(tiny(*QUICK, f"output_dir={tmp_path / 'whole'}"))
    for steps in range(1, 4):
        [part] = train(tiny(*QUICK, "dynamics.time_budget=1e-9"))
        assert (part.summary["outcome"], part.summary["steps"] + part.summary["rejected"]) == ("time_budget", steps)
    [continued] = train(tiny(*QUICK))
    assert contents(continued) == contents(whole[0])


def test_memory_limit_changes_nothing_but_rounding(tiny, tmp_path):
    [plain] = train(tiny(*QUICK))
    [chunked] = train(tiny(*QUICK, "memory_limit=5KB", f"output_dir={tmp_path / 'chunked'}"))
    assert chunked.run_id == plain.run_id
    assert numbers(chunked) == pytest.approx(numbers(plain), rel=1e-9)


def test_initial_weights_do_not_depend_on_alpha(tiny):
    one, other = (build(tiny(f"alpha.value={value}", "seed=ensemble")) for value in (1e-3, 1e3))
    weights = one.w0(one.cells)
    assert torch.equal(weights, other.w0(other.cells))
    assert len(torch.unique(weights, dim=0)) == 3


def test_lost_precision_is_refused(tiny):
    """F = α(f − f₀): at √hα = 1e6 float32 has no digit left, float64 has ten."""
    with pytest.raises(ConfigError, match=r"^dtype=float32: at α = .* use dtype=float64 or a smaller α\.$"):
        train(tiny("alpha.value=1e6", "dtype=float32", "dynamics.max_steps=1"))
    assert train(tiny("alpha.value=1e6", "dynamics.max_steps=1"))[0].summary["outcome"] == "max_steps"
    assert train(tiny("alpha.value=1", "dtype=float32", "dynamics.max_steps=1"))[0].summary["outcome"] == "max_steps"


def test_kink_is_a_named_outcome_and_done(tiny):
    [stored] = train(tiny("loss=hinge", *QUICK))
    assert stored.done
    assert stored.summary["outcome"] == "dt_floor"
    assert stored.summary["t_stop"] is None


def test_flow_that_never_fits_ends_where_it_is_told(tiny):
    """It is told in natural times min(1, √h·α), here 0.1 in the article's t."""
    config = tiny(*QUICK, "alpha.value=0.1", "dynamics.t_end=0.5")
    batch = build(config)
    scale = batch.time_scale(batch.cells[0])
    assert scale == pytest.approx(0.1)
    [stored] = train(config)
    assert (stored.done, stored.summary["outcome"]) == (True, "t_end")
    assert stored.summary["t"] == pytest.approx(0.5 * scale, rel=1e-12)


def test_flow_without_an_end_is_the_run_that_it_was_before_there_was_one(tiny):
    assert build(tiny()).cells[0].run_id == build(tiny("dynamics.t_end=0")).cells[0].run_id
    assert "t_end" not in build(tiny()).cells[0].config["dynamics"]
    assert build(tiny("dynamics.t_end=1")).cells[0].config["dynamics"]["t_end"] == 1


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiment_runs_shrunken(tiny, experiment):
    for stored in train(tiny(f"experiment={experiment}", "dynamics.max_steps=20")):
        assert stored.summary["outcome"] == "max_steps"
        assert len(stored.history["t"]) > 0

"""The atlas: what is written of the systems comes from their table and from what was measured."""

import re

from benchmarks.atlas import PAGE, PICTURES, load, page, verdict
from feature_lazy.systems.table import LAPTOP, REPLICATION, systems

LITERATURE = {
    "1707.09864": "generalised_convolution",
    "1806.07572": "ntk",
    "2006.14548": "weight_sharing",
    "1902.06720": "linear_models",
    "1903.03088": "self_tuning",
    "1906.02926": "pathological_sharpness",
    "2006.09092": "batch_size",
    "2007.06352": "propagation_of_chaos",
    "2007.15801": "finite_infinite",
    "2010.00879": "natural_gradient",
    "2010.10090": "distillation",
    "2011.14522": "infinite_feature_learning",
    "2106.03485": "redundant_representations",
    "2106.10165": "effective_theory",
    "2107.01408": "scale_mixtures",
    "2107.03356": "m_fac",
    "2108.13097": "deep_kernel_machines",
    "2110.11945": "softmax_free_attention",
    "2111.06063": "svm",
    "2112.13410": "kernel_continual",
    "2203.14577": "label_gradient_alignment",
    "2204.14126": "deep_classifiers",
    "2208.01003": "wide_cnn",
    "2305.12827": "task_arithmetic",
    "2305.14077": "spiky_smooth",
    "2307.05639": "radial_basis",
    "2310.06110": "grokking",
    "2310.10767": "deep_equilibrium",
    "2310.13225": "scalable_kernels",
    "2310.16228": "shortcuts",
    "2311.14646": "more_is_better",
    "2401.15604": "score_estimation",
    "2401.17948": "hyper_zzw",
    "2402.17457": "learning_rate_transfer",
    "2403.08917": "private_similarities",
    "2405.15539": "surrogate_gradients",
    "2405.16747": "lp_ft",
    "2406.14036": "infinite_prefix",
    "2412.10146": "loss_landscapes",
    "2502.16763": "permutations",
    "2506.13710": "gradient_normalised_smoothness",
    "2507.17912": "setol",
    "2509.09719": "spectral_bottleneck",
    "2602.03879": "trukan",
}
"""The papers that the atlas is of, and the folder of each."""


def test_the_page_comes_from_the_table_and_the_record():
    assert PAGE.read_text(encoding="utf-8") == page(load())


def test_no_system_of_the_literature_is_missing():
    papers = {system.paper: system.folder for system in systems()}
    assert {paper: papers.get(paper) for paper in LITERATURE} == LITERATURE


def test_every_system_is_measured_with_its_replication_and_drawn():
    record = load()
    assert set(record) == {system.folder for system in systems()}
    for system in systems():
        entry = record[system.folder]
        assert set(entry) == {LAPTOP, REPLICATION}
        for rows in entry.values():
            # A law that several kinds of runs show has a row for each.
            assert list(dict.fromkeys(row["name"] for row in rows)) == [claim.law for claim in system.laws]
            assert all(re.fullmatch(r"-?\d+\.\d+ ± \d+\.\d+", row["measured"]) for row in rows)
        assert (PICTURES / f"{system.folder}.png").stat().st_size > 5000


def test_what_does_not_come_out_is_said_in_words():
    """Of a law that does not agree in one of the sweeps, or that stands in the place of the paper's; of no other."""
    record = load()
    for system in systems():
        weaker = system.state != "claim" or verdict(record[system.folder]) != "agrees"
        assert bool(system.note) == weaker, system.folder
        assert not system.note or system.note.endswith(".")


def test_verdict_of_several_laws():
    def entry(*verdicts):
        return {LAPTOP: [{"verdict": one} for one in verdicts], REPLICATION: [{"verdict": verdicts[0]}]}

    assert verdict(entry("agrees", "agrees")) == "agrees"
    assert verdict(entry("agrees", "differs")) == "see there"
    assert verdict(None) == "not measured"

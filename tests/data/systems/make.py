"""Make the reference values of the systems, with NumPy and SciPy alone: python -m tests.data.systems.make

Nothing of the package is used: networks, gradients, kernels and their limits are written out in the modules beside.
"""

import json
from pathlib import Path

from tests.data.systems import (
    adaptation,
    limits,
    machines,
    optimisers,
    patches,
    predictors,
    sequences,
    signals,
    spectra,
    splines,
    stochastic,
    trees,
)

HERE = Path(__file__).parent
WAYS = (
    optimisers.label_gradient_alignment,
    optimisers.grokking,
    optimisers.natural_gradient,
    optimisers.learning_rate_transfer,
    optimisers.batch_size,
    optimisers.pathological_sharpness,
    optimisers.m_fac,
    optimisers.gradient_normalised_smoothness,
    predictors.linear_models,
    predictors.more_is_better,
    predictors.shortcuts,
    predictors.spiky_smooth,
    predictors.scale_mixtures,
    predictors.distillation,
    predictors.permutations,
    predictors.deep_classifiers,
    predictors.private_similarities,
    limits.ntk,
    limits.deep_equilibrium,
    limits.infinite_feature_learning,
    limits.radial_basis,
    limits.score_estimation,
    limits.surrogate_gradients,
    patches.generalised_convolution,
    patches.hyper_zzw,
    sequences.infinite_prefix,
    sequences.weight_sharing,
    sequences.softmax_free_attention,
    stochastic.propagation_of_chaos,
    stochastic.self_tuning,
    adaptation.lp_ft,
    adaptation.task_arithmetic,
    machines.deep_kernel_machines,
    machines.kernel_continual,
    spectra.setol,
    spectra.loss_landscapes,
    spectra.redundant_representations,
    signals.spectral_bottleneck,
    signals.scalable_kernels,
    trees.wide_cnn,
    splines.trukan,
)

if __name__ == "__main__":
    for made in WAYS:
        (HERE / f"{made.__name__}.json").write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")

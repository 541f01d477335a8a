"""More is better: when infinite overparameterization is optimal and overfitting is obligatory (Simon et al. 2023)."""

PAPER = "2311.14646"
CLAIM = (
    "The spectrum of a kernel foretells the error of regression, with the kernel itself or with finitely many features."
)

"""Deep equilibrium models as Gaussian processes (Gao, Huo, Liu and Gao 2023, and Gao et al. 2023 for the kernel)."""

PAPER = "2310.10767"
CLAIM = "A network that is the fixed point of one layer has limits of depth and of width that commute."

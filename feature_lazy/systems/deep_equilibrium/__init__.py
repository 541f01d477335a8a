"""Deep equilibrium models as Gaussian processes (Gao, Huo, Liu and Gao 2023).

The kernel is that of Feng and Kolter (2023, arXiv:2310.14062).
"""

PAPER = "2310.10767"
CLAIM = "A network that is the fixed point of one layer has limits of depth and of width that commute."

"""Scale mixtures of neural network Gaussian processes (Lee, Yun, Yang and Lee 2021)."""

PAPER = "2107.01408"
CLAIM = (
    "With an inverse gamma prior on the variance of the output layer wide networks are a Student-t process, which "
    "knows how large labels are; each network is as lazy as its scale says."
)

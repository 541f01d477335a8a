"""The normalization method for alleviating pathological sharpness in wide neural networks (Karakida et al. 2019)."""

PAPER = "1906.02926"
CLAIM = (
    "The largest Fisher eigenvalue grows as the width; less the outputs' mean over patterns, or under batch norm, not."
)

"""Finite versus infinite neural networks: an empirical study (Lee et al. 2020)."""

PAPER = "2007.15801"
CLAIM = (
    "A ridge is early stopping, its best value is broad, averages over networks and over shifted training sets err "
    "less, and single precision puts a floor under smooth kernels."
)

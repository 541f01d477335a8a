"""Finite versus infinite neural networks: an empirical study (Lee et al. 2020)."""

PAPER = "2007.15801"
CLAIM = (
    "A ridge is early stopping, its best value is broad, averages over networks and over shifted training sets err "
    "less, and single precision puts a floor under smooth kernels."
)
NOTE = (
    "On digits of MNIST the NNGP is not ahead of the NTK, and averages over shifted training sets gain too "
    "little to be told. What one precision leaves of a smooth kernel depends on the cut-off: from 200 to 800 "
    "patterns its floor cannot be told."
)

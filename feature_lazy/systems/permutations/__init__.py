"""Exact learning of permutations for nonzero binary inputs with logarithmic training size (Giapitzakis et al. 2025)."""

PAPER = "2502.16763"
CLAIM = (
    "From the k unit vectors alone wide networks learn a permutation of all binary inputs: the signs of their mean are "
    "right, and their variance says how many networks together are."
)

"""A theory of representation learning gives a deep generalisation of kernel methods (Yang et al. 2023)."""

PAPER = "2108.13097"
CLAIM = (
    "Where labels are repeated as widths grow, the kernels of hidden layers learn from them: by 1/ν, from the kernel "
    "of infinite width towards that of the labels."
)
NOTE = (
    "That alignment rises whenever ν falls by ten cannot be told with erf, whose kernel is bounded: at small ν there "
    "are several optima, and in some splits what is found is hardly aligned with the labels."
)

"""Wide neural networks of any depth evolve as linear models under gradient descent (Lee et al. 2019)."""

PAPER = "1902.06720"
CLAIM = (
    "The distance between a network and its linearisation, the largest over training time, falls as 1/h; mean and "
    "variance over networks are those of a Gaussian process at every time."
)
NOTE = (
    "Without f₀ taken off, F = αf, the distance falls a little more slowly at these widths (−0.80 and −0.88 ± "
    "0.15 for −1): what is linearised then moves by the size of f₀ as well."
)

"""TruKAN: Kolmogorov–Arnold networks whose splines are sums of truncated powers."""

PAPER = "2602.03879"
CLAIM = (
    "Truncated powers span the splines that B-splines do, and a layer of them with knots that stay is linear in its "
    "weights: its kernel is exact, and rests."
)
NOTE = (
    "That learnt knots, or knots of each pair of units, fit better than equal ones does not show in networks of this "
    "size; accuracies on images are not asked for here."
)

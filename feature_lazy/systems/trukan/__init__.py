"""TruKAN: Kolmogorov–Arnold networks whose splines are sums of truncated powers (Bayeh, Sadaoui and Mouhoub 2026)."""

PAPER = "2602.03879"
CLAIM = (
    "Truncated powers span the splines that B-splines do, and a layer of them with knots that stay is linear in its "
    "weights: its kernel is exact, and rests."
)
NOTE = "Accuracies on images are not asked for here."

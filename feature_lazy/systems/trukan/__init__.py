"""TruKAN: Kolmogorov–Arnold networks whose splines are sums of truncated powers (Bayeh, Sadaoui and Mouhoub 2026)."""

PAPER = "2602.03879"
CLAIM = (
    "Truncated powers span the splines that B-splines do, and a layer of them with knots that stay is linear in its "
    "weights: its kernel is exact, and rests."
)
NOTE = (
    "That TruKAN errs less than an MLP of as many weights does not show on a function of two variables: rms test "
    "errors of five networks with standard errors are 0.021 ± 0.002 beside 0.015 ± 0.002, and 0.018 ± 0.005 beside "
    "0.029 ± 0.004 in the replication. Nor does a benefit of knots that are learnt: shared ones leave 0.058 ± 0.028 "
    "from the starts of the first sweep. From three other starts, on another split, with f₀ taken off and after 200 "
    "updates, knots that stay, shared ones and individual ones leave 0.081 ± 0.031, 0.079 ± 0.026 and 0.080 ± 0.022. "
    "The optimiser, that f₀ is left in, and the α of single layers were chosen after earlier runs had been looked at, "
    "and the exponent of learnt knots stands in the place of a law that could not tell. "
    "ψ of K = 6, 24 and 96 have a condition of 9·10³, 2·10⁶ and 5·10⁸, B-splines of 5. Accuracies on images are not "
    "asked for here."
)

"""M-FAC: efficient matrix-free approximations of second-order information (Frantar, Kurtic, Alistarh 2021)."""

PAPER = "2107.03356"
CLAIM = "Inverse Fisher products are exact at a cost linear in the weights, and prune better than magnitudes do."

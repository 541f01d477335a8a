"""A generalized neural tangent kernel for surrogate gradient learning (Eilers, Memmesheimer, Goedeke 2024)."""

PAPER = "2405.15539"
CLAIM = (
    "Wide sign networks that learn by surrogate gradients are, on average and in their variance, what a tangent kernel "
    "predicts that is not symmetric: one argument has the jump's derivative, the other the surrogate's."
)
NOTE = "In the replication 32 networks cannot tell whether their mean is farther from the NNGP posterior."

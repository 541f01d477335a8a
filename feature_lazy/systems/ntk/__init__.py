"""Neural tangent kernel: convergence and generalization in neural networks (Jacot, Gabriel, Hongler 2018)."""

PAPER = "1806.07572"
CLAIM = "The kernel begins at its limit up to h^(−½), and at fixed α changes by 1/h during training."

"""Parts of the Gauss–Newton matrix G that natural gradients go by, as ``dynamics.fisher`` names them."""

EXACT, BLOCK, TRIDIAGONAL, KFAC, UNIT = "exact", "block_diagonal", "block_tridiagonal", "kfac", "unit_wise"

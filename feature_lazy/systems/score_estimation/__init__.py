"""Neural network-based score estimation in diffusion models: optimisation and generalisation (Han, Razaviyayn, Xu)."""

PAPER = "2401.15604"
CLAIM = "Denoising is regression under noise: a lazy network that stops early learns the score, one that fits does not."
NOTE = (
    "Exponents over two numbers of patterns and few splits have error bars of their own size: the least excess "
    "risk falls with P, how fast cannot be told."
)

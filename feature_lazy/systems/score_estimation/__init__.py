"""Neural network-based score estimation in diffusion models: optimisation and generalisation (Han, Razaviyayn, Xu)."""

PAPER = "2401.15604"
CLAIM = "Denoising is regression under noise: a lazy network that stops early learns the score, one that fits does not."

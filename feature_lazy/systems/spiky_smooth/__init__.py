"""Mind the spikes: benign overfitting of kernels and neural networks in fixed dimension (Haas et al. 2023)."""

PAPER = "2305.14077"
CLAIM = (
    "Interpolated noise is harmless in few dimensions if the kernel has a spike, which a small fast wave in φ makes."
)

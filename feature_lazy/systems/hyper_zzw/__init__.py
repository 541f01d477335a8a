"""HyperZ·Z·W operator connects slow-fast networks for full context interaction (Zhang 2024)."""

PAPER = "2401.17948"
CLAIM = "Kernels that a slow network makes of coordinates, times the image itself, give each image weights of its own."
NOTE = (
    "An example: test errors in the two sweeps, with standard errors over networks, are 11.9 ± 0.5 % and 11.6 ± 0.7 "
    "% with the slow network, 6.0 ± 0.1 % and 6.7 ± 0.3 % with a table in its place, and 8.4 ± 0.4 % and 8.1 ± 0.3 "
    "% with a table that does not see the image. That weights vary with the image helps; that a slow network makes "
    "them, 160 weights for 512, does not on 8 × 8 digits. The paper has larger images, many blocks, and statistics "
    "of batches."
)

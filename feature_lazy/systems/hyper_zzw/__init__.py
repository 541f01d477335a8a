"""HyperZ·Z·W operator connects slow-fast networks for full context interaction (Zhang 2024)."""

PAPER = "2401.17948"
CLAIM = "Kernels that a slow network makes of coordinates, times the image itself, give each image weights of its own."
NOTE = (
    "An example: on 8 × 8 digits weights that vary with the image do not help. An independent calculation, of 800 "
    "patterns and 8 channels, has test errors of 17.8 ± 1.4 % with the slow network, 7.9 ± 0.4 % with a table in its "
    "place, and 7.3 ± 0.7 % with a table that does not see the image. The paper's own results are of larger images, "
    "where a slow network saves weights."
)

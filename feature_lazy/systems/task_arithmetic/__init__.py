"""Task arithmetic in the tangent space (Ortiz-Jimenez, Favero and Frossard 2023)."""

PAPER = "2305.12827"
CLAIM = (
    "What tasks have added to one network can be added and taken away, and better where they were learnt linearised."
)

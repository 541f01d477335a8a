"""Feature learning in infinite-width neural networks: Tensor Programs IV (Yang and Hu 2020)."""

PAPER = "2011.14522"
CLAIM = (
    "Networks in µP go to a limit that learns features, as one over the root of the width; in NTK they stop learning."
)

"""Task arithmetic in the tangent space (Ortiz-Jimenez, Favero and Frossard 2023)."""

PAPER = "2305.12827"
CLAIM = (
    "What tasks have added to one network can be added and taken away, and better where they were learnt linearised."
)
NOTE = (
    "That linearised networks add better cannot be told, as it could not in an independent calculation; nor "
    "that weights of networks, put into their linearisation, disentangle better, nor that linearised networks "
    "forget better where other tasks keep 95 % of their accuracy: heads that are fit to a parent's features "
    "leave tasks little to add."
)

"""Demystifying the neural tangent kernel from a practical perspective (Mok, Na, Kim, Han, Yoon 2022)."""

PAPER = "2203.14577"
CLAIM = (
    "Networks whose kernel is better aligned with the labels, at the start and after a few epochs, end more accurate."
)
NOTE = (
    "That the order of networks by LGA gets better in training does not come out for fully connected networks; "
    "that it is there from the start on does."
)

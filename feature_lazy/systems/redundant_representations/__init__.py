"""Redundant representations help generalisation in wide neural networks (Doimo, Glielmo, Goldt and Laio 2021)."""

PAPER = "2106.03485"
CLAIM = "Under weight decay a few of the last hidden units say more of all others, and classify better by themselves."
NOTE = (
    "Clones do not come out: no chunk of the last layer of these fully connected networks meets all three "
    "criteria at once, with decay or without, so that their number has no law here. The paper has them in "
    "convolutional networks on larger images. What holds is that decay, and features that are learnt, make few "
    "units say more of the layer."
)

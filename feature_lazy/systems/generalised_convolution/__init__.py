"""Generalizing the convolution operator in convolutional neural networks (Ghiasi-Shirazi 2017)."""

PAPER = "1707.09864"
CLAIM = "Convolutions that compare patches with templates by weighted distances do as well as those by products."
NOTE = (
    "Of the distances L2 alone keeps up. Five networks of other operators, trained as in each sweep, erred with "
    "standard errors on 55 ± 19 % and 14.6 ± 1.4 % of test patterns by weighted L1, where two of the ten learnt "
    "nothing, and on 28.9 ± 3.2 % and 23.4 ± 1.7 % by a Gaussian kernel; products on 9 %."
)

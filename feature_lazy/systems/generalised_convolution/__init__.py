"""Generalizing the convolution operator in convolutional neural networks (Ghiasi-Shirazi 2017)."""

PAPER = "1707.09864"
CLAIM = "Convolutions that compare patches with templates by weighted distances do as well as those by products."

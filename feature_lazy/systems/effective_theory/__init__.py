"""The principles of deep learning theory: an effective theory of networks of finite width (Roberts et al. 2021)."""

PAPER = "2106.10165"
CLAIM = "Fluctuations of a network and its kernel over initialisations are functions of depth over width."

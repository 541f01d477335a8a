"""SOFT, attention without softmax at a linear cost (Lu, Yao, Zhang, Zhu, Xu, Gao, Xu, Xiang and Zhang 2021).

Eight tokens of a digit save nothing: cost is counted at 784 tokens and more, and not timed. Twenty steps of
Newton–Raphson suffice for a condition of some 300, and so for any four landmarks with the ridge of the authors' code;
more landmarks are given more steps, and too few are refused. Landmarks are means of consecutive tokens here, without
weights of their own. ``architecture.normalised`` is the symmetric normalisation of Lu et al. 2022 (arXiv:2207.03341).
"""

PAPER = "2110.11945"
CLAIM = "Attention by a Gaussian kernel is approximated from a few landmarks, at a cost linear in the number of tokens."

"""SOFT, attention without softmax at a linear cost (Lu, Yao, Zhang, Zhu, Xu, Gao, Xu, Xiang and Zhang 2021)."""

PAPER = "2110.11945"
CLAIM = "Attention by a Gaussian kernel is approximated from a few landmarks, at a cost linear in the number of tokens."

"""Generalizing the convolution operator in convolutional neural networks (Ghiasi-Shirazi 2017)."""

PAPER = "1707.09864"
CLAIM = "Convolutions that compare patches with templates by weighted distances do as well as those by products."
NOTE = (
    "Of the distances L2 alone keeps up, and at this rate: in a sweep with more than twice the rate and fewer updates, "
    "stopped before its end, it was about 5 points worse than products. The settings here are the fourth that were "
    "tried, and networks were added, 10 and then 20 for 5, after earlier sweeps had been looked at: the error bars are "
    "those of a single look, and too small. That weighted L1 keeps up was judged once, differed, and is no law here. "
    "Five networks of other operators, trained as in each sweep, erred with standard errors on 55 ± 19 % and "
    "14.6 ± 1.4 % of test patterns by weighted L1, where two of the ten learnt nothing, and on 28.9 ± 3.2 % and "
    "23.4 ± 1.7 % by a Gaussian kernel; products on 9 %."
)

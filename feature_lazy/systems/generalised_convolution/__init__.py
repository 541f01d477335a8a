"""Generalizing the convolution operator in convolutional neural networks (Ghiasi-Shirazi 2017)."""

PAPER = "1707.09864"
CLAIM = "Convolutions that compare patches with templates by weighted distances do as well as those by products."
NOTE = (
    "Weighted L2 keeps up to two points of test error, at this rate: both sweeps show that. That it does so to one "
    "and a half cannot be told. The sweep's settings are the fourth that were tried, and networks were added, 10 and "
    "then 20 for 5, after earlier sweeps had been looked at: its error bar is that of a single look, and too small. "
    "The replication's seeds and split had not been looked at before, and its error bar reaches beyond. In a sweep "
    "with more than twice the rate and fewer updates, stopped before its end, L2 was about 5 points worse than "
    "products. That weighted L1 keeps up was judged once, differed, and is no law here. Five networks of other "
    "operators, trained as in each sweep, erred with standard errors on 55 ± 19 % and 14.6 ± 1.4 % of test patterns "
    "by weighted L1, where two of the ten learnt nothing, and on 28.9 ± 3.2 % and 23.4 ± 1.7 % by a Gaussian kernel; "
    "products on 9 %."
)

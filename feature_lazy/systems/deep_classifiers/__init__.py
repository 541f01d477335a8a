"""Wide and deep neural networks achieve optimality for classification (Radhakrishnan, Belkin, Uhler 2022)."""

PAPER = "2204.14126"
CLAIM = (
    "On the sphere S^m, infinitely wide and deep networks are the majority vote, the nearest neighbour or a singular "
    "kernel of exponent −2o, as their activation decides, and Bayes optimal where o = m/2."
)

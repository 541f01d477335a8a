"""Wide and deep neural networks achieve optimality for classification (Radhakrishnan, Belkin, Uhler 2022)."""

PAPER = "2204.14126"
CLAIM = (
    "On the sphere S^m, infinitely wide and deep networks are the majority vote, the nearest neighbour or a singular "
    "kernel of exponent −2o, as their activation decides, and Bayes optimal where o = m/2."
)
NOTE = (
    "The limits of the other two classes are nearly reached, and not within their bounds at this size: of 600 patterns "
    "a network of 4000 layers votes as the majority on 0.85 ± 0.20 and 0.87 ± 0.10 of the test patterns, where above "
    "0.99 was expected from a calculation with 51 patterns; one of 9 layers agrees with the nearest neighbour on "
    "0.989 ± 0.013 and 0.987 ± 0.008, which is not told from 0.98."
)

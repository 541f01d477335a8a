"""On the equivalence between neural network and support vector machine (Chen, Huang, Nguyen, Weng 2021)."""

PAPER = "2111.06063"
CLAIM = (
    "With the hinge loss and a penalty on the distance from the start, wide networks come to rest at the support "
    "vector machine of their tangent kernel, up to 1/√h."
)

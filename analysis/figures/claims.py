"""What the article says about each of its figures and tables, and how that is looked for in what is drawn."""

import pandas as pd

from analysis.figures import findings
from analysis.figures.findings import Claim, Finding

CLAIMS: dict[str, Claim] = {
    "fig1": Claim("The regimes are separated by α* ~ 1/√h.", findings.fig1),
    "fig2": Claim("The soft hinge is the hinge with its corner rounded.", findings.fig2),
    "fig3": Claim("Rescaled test error collapses against √h·α; the lazy regime is ahead.", findings.fig3),
    "fig4": Claim("Var F ~ 1/h in both regimes; the mean of an ensemble hardly depends on h.", findings.fig4),
    "fig5": Claim(
        "Kernel change: exponent −1 in the lazy regime, −1.3 to −1.6 in the feature regime; t₁ ~ √h·α in the feature "
        "regime, constant in the lazy one.",
        findings.fig5,
    ),
    "fig6": Claim("MNIST and CIFAR10: the lazy regime is ahead, by gradient flow and by Adam.", findings.fig6),
    "fig7": Claim(
        "The feature regime is ahead on 10 components of MNIST (a), the lazy one on images with fully connected "
        "networks (c, d).",
        findings.fig7,
    ),
    "fig8": Claim(
        "The kernel of the trained network, frozen, reaches the network's test error; the initial kernel does not.",
        findings.fig8,
    ),
    "fig9": Claim("√h‖w − w₀‖/‖w₀‖: exponent −1 in the lazy regime, −0.23 in the feature regime.", findings.fig9),
    "fig10": Claim("The output grows linearly in t until it takes off before t₁.", findings.fig10),
    "fig11": Claim("‖ż‖ ~ 1/(α√h) at t = 0, in every layer.", findings.fig11),
    "fig12": Claim("ReLU: a third regime of exponent −1/2 between −1.7 and −1.", findings.fig12),
    "fig13": Claim("A hundred times finer bound on the gradient's change moves the outputs by little.", findings.fig13),
    "fig14": Claim("In the lazy regime Var F grows with P at fixed h.", findings.fig14),
    "fig15": Claim("Removing f₀ matters at large α only.", findings.fig15),
    "fig16": Claim("Biases are negligible.", findings.fig16),
    "table1": Claim(
        "The lazy regime is ahead with fully connected networks, the feature regime on 10 components of MNIST and with "
        "a CNN on CIFAR10.",
        findings.table1,
    ),
    "table2": Claim(
        "Exponents near 2L/(L + 1) and 1/(L + 1) in the feature regime, 1 in the lazy one.", findings.table2
    ),
}
"""Of every figure and table of ``registry.ARTICLE``."""


def finding(name: str, data: pd.DataFrame) -> tuple[str, Finding]:
    """What the article says of a figure, and what its data say; of no data, that there are none."""
    claim = CLAIMS[name]
    if not len(data):
        return claim.says, Finding("nothing could be drawn", None)
    return claim.says, claim.look(data)

"""No law: a slow network in the place of a table does not help on 8 × 8 digits; what is seen is drawn."""

import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.figures.scaling import scatter

NAMES = {
    ("slow", True): "slow network × image",
    ("table", True): "table × image",
    ("table", False): "table",
}


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Test error of each network at the end by kernel, and their mean with its error, for the atlas."""
    nets = [run.config["architecture"] for run in table["run"]]
    kinds = pd.Series([NAMES[net["kernel"], net["context"]] for net in nets], table.index)
    scatter(axes, {name: 100 * table["test/error"][kinds == name] for name in NAMES.values()})
    axes.set(ylabel="test error, %")

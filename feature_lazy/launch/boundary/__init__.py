"""Where the kernel change crosses a value: α* of many networks, each from a few α (Fig. 5a).

``crossing`` decides from numbers alone, ``readings`` has them from stored runs, ``search`` joins both, and ``report``
shows what was found. The sweeper in ``hydra_plugins`` lets a launcher train what all searches ask for at once.
"""

from feature_lazy.launch.boundary.crossing import Ask, Found, Lost, Target, decide
from feature_lazy.launch.boundary.readings import check, stored
from feature_lazy.launch.boundary.report import save, show
from feature_lazy.launch.boundary.search import Search

__all__ = ["Ask", "Found", "Lost", "Search", "Target", "check", "decide", "save", "show", "stored"]

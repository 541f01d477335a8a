"""Train one network, an ensemble, or with -m a sweep: what train.py does, from anywhere.

Takes overrides and Hydra's flags as they are; 'feature-lazy train --help' lists what can be set.
"""

import argparse
import sys

PASSED_ON = True
"""Whether the command line goes to ``call`` as it is: it is Hydra's."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything."""
    parser.add_argument("overrides", nargs=argparse.REMAINDER, metavar="KEY=VALUE", help="as for train.py")


def call(options: argparse.Namespace) -> int:
    """Train."""
    from feature_lazy.launch.train import main

    sys.argv = ["train.py", *options.overrides]
    return main()

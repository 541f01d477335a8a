"""``python -m analysis DIR``: table and figures of a sweep."""

import argparse
import sys
from pathlib import Path

from analysis.summary import summarise
from feature_lazy.errors import FeatureLazyError


def main() -> None:
    """Summarise the results folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Table and figures of a sweep.")
    parser.add_argument("folder", type=Path, help="results folder, such as results/demo")
    try:
        summarise(parser.parse_args().folder)
    except FeatureLazyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

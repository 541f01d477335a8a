"""``python -m analysis.dashboard PROJECT``: what ``feature-lazy dashboard`` does."""

import sys

from feature_lazy.launch.commands import main

if __name__ == "__main__":
    sys.exit(main(["dashboard", *sys.argv[1:]]))

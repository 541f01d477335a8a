"""Train one network, an ensemble, or with ``-m`` a sweep. ``python train.py --help`` lists what can be set."""

import sys

from feature_lazy.launch.train import main

if __name__ == "__main__":
    sys.exit(main())

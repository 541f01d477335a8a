"""The command line of a training in a process that ends with the one that began it: see ``launch.notebook``."""

import signal
import sys
from typing import Any

from feature_lazy.launch.train import main
from feature_lazy.launch.workers import stay_with


def _once(number: int, frame: Any) -> None:
    """Stop; asked again, by a terminal and by the process that began it, go on to keep the state.

    Raises:
        KeyboardInterrupt: always.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _once)
    parent, *arguments = sys.argv[1:]
    stay_with(int(parent))
    sys.exit(main(arguments))

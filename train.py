"""Train one network, an ensemble, or with ``-m`` a sweep. ``python train.py --help`` lists what can be set."""

import sys

import hydra
from omegaconf import DictConfig

from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.app import train
from feature_lazy.settings.overrides import check_overrides, sized
from feature_lazy.settings.schema import register

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> list[str]:
    """Train what ``cfg`` describes."""
    return train(cfg)


if __name__ == "__main__":
    try:
        sys.argv[1:] = sized(sys.argv[1:])
        check_overrides(sys.argv[1:])
    except ConfigError as error:
        sys.exit(str(error))
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped. What is done is stored, what was running has kept its state; repeat the command to continue.")
        sys.exit(130)

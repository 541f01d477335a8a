"""A user's own data as an option: ``dataset=custom dataset.target=mypackage.load``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config


@option("dataset", "custom")
class CustomData(Data):
    """Your own patterns and labels, as they come (docs/your_own_network.md)."""

    n_train: int = key(500, "P, the first patterns, to train on", ge=2)
    n_test: int = key(1000, "P_test, the next ones, to test on; the default takes as many as there are up to it", ge=2)
    seed: int = key(0, "for the target, which gets it as ${dataset.seed} in kwargs", ge=0)
    target: str = key("", "import path of a function that returns patterns and labels, such as mypackage.load")
    kwargs: dict[str, Any] = key({}, "its keyword arguments, such as {seed: ${dataset.seed}}")

    allow: list[str] = key(
        [],
        "what your data are meant to have: contradictions (equal patterns with different labels), missing (classes), "
        "seen (test patterns that are trained on)",
        choices=("contradictions", "missing", "seen"),
        science=False,
    )

    own_labels = True

    @property
    def labelled_by(self) -> str:
        return f"the labels of dataset.target={self.target}"

    def problems(self, config: Config) -> Iterator[str]:
        if not (config.leaves("labels") or config.labels.real):
            yield (
                f"labels={config.labels.kind}: the target of dataset=custom returns the labels; leave labels=parity, "
                "or say by labels=regression that they are real numbers."
            )
        yield from custom_problems("dataset", self.target)

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def build(self, labels: Labels) -> Dataset:
        from feature_lazy.data.custom import split
        from feature_lazy.settings.targets import factory

        made, spare = factory("dataset", self.target, self.kwargs), self.n_test == type(self).n_test
        return split(made, self.n_train, self.n_test, self.n_valid, allow=self.allow, spare=spare, targets=labels.real)

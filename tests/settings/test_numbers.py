"""What is written for a key that is a number, and is none, is refused in a sentence of ours, before Hydra's."""

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.overrides import checked


@pytest.mark.parametrize(
    "line", ["width.h=1.5", "width.h=x", "width.h=true", "width.h=null", "dynamics.max_steps=1e5", "width.h=8,2.5,16"]
)
def test_whole_numbers(line):
    with pytest.raises(ConfigError, match=rf"^{line}: must be a whole number; \S+ is not\.$"):
        checked([line])


@pytest.mark.parametrize("line", ["alpha.value=abc", "alpha.value=true", "alpha.value=1,x", "alpha.value=[1]"])
def test_numbers(line):
    with pytest.raises(ConfigError, match=r": must be a number; \S+ is not\.$"):
        checked([line])


@pytest.mark.parametrize(
    "line",
    [
        "width.h=3",
        "width.h='3'",
        "width.h=1_000",
        "width.h=8,16",
        "width.h=range(1,9)",
        "width.h=${seed.value}",
        "alpha.value=.5",
        "alpha.value=1e-3",
        "alpha.value=-inf",
        "alpha.value=1,2.5e1",
        "alpha.value=choice(1,2)",
        "dataset=digits",
    ],
)
def test_what_the_schema_takes_passes(line):
    checked([line])

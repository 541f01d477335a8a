"""Patterns as sequences: rows of an image, pieces of a vector, and what is refused."""

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.networks.sequences import SequenceArchitecture
from feature_lazy.settings.overrides import composed


class Reader(SequenceArchitecture):
    """A network that is never built."""

    def build(self, config, data):
        raise AssertionError


def reader(tokens):
    return Reader(tokens=tokens, kind="reader")


def test_rows_of_an_image_with_all_of_their_channels():
    image = torch.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    read = reader(0).read((2, 3, 4))
    assert (read.number, read.size) == (3, 8)
    found = read.of(image.flatten().expand(5, 2, -1))
    assert found.shape == (5, 2, 3, 8)
    for row in range(3):
        assert found[0, 0, row].tolist() == torch.cat([image[0, row], image[1, row]]).tolist()


def test_digits_are_eight_tokens_of_eight():
    config = composed([])
    read = reader(0).read(config.dataset.shape)
    assert (read.number, read.size, read.channels) == (8, 8, 1)
    assert list(reader(0).problems(config)) == []


def test_pieces_of_a_vector_lie_side_by_side():
    read = reader(3).read((12,))
    assert read.of(torch.arange(12.0)).tolist() == torch.arange(12.0).reshape(3, 4).tolist()
    # Of an image too, where their number was given.
    assert reader(2).read((3, 2, 2)).of(torch.arange(12.0))[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_patterns_that_are_there_say_their_own_shape():
    x, y = torch.zeros(2, 12), torch.tensor([1.0, -1.0])
    assert reader(4).tokens_of(Dataset(x, y, x, y)).size == 3
    with pytest.raises(ConfigError, match=r"patterns of the shape \(12,\) have no rows"):
        reader(0).tokens_of(Dataset(x, y, x, y))


@pytest.mark.parametrize(
    ("tokens", "overrides", "sentence"),
    [
        (7, [], "architecture.tokens=7: patterns of 64 numbers are not cut .* use a divisor. (dataset=digits)"),
        (0, ["dataset=stripe"], "have no rows; say how many tokens they have. (dataset=stripe)"),
        (0, ["dataset.pca.components=10"], "have no rows; .* (dataset.pca.components=10)"),
    ],
)
def test_refusals(tokens, overrides, sentence):
    import re

    [problem] = reader(tokens).problems(composed(overrides))
    assert re.search(re.escape(sentence).replace(r"\.\*", ".*"), problem)

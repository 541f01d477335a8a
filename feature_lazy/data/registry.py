"""Files of the public sets: names, checksums, and where they are to be had.

Checksums were read from the tables of public loaders. No file has been downloaded with this code yet: a first real
``feature-lazy data fetch`` confirms them, or says what it found.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mirror:
    """One place to download a file from.

    Attributes:
        url: of the file.
        checksum: ``sha256:…`` or ``md5:…``; mirrors may hold different editions of an archive.
    """

    url: str
    checksum: str


@dataclass(frozen=True)
class RemoteFile:
    """A file as it lies in the cache.

    Attributes:
        name: its name there.
        mirrors: tried in turn.
    """

    name: str
    mirrors: tuple[Mirror, ...]

    @property
    def checksums(self) -> tuple[str, ...]:
        """All that the file may have, in the order of the mirrors."""
        return tuple(dict.fromkeys(mirror.checksum for mirror in self.mirrors))


IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
"""Images and labels of the train part, then of the test part."""


def _idx_files(bases: tuple[str, ...], checksums: tuple[str, str, str, str]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, tuple(Mirror(base + name, f"sha256:{checksum}") for base in bases))
        for name, checksum in zip(IDX_NAMES, checksums, strict=True)
    )


FILES: Mapping[str, tuple[RemoteFile, ...]] = {
    "mnist": _idx_files(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": _idx_files(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "kmnist": _idx_files(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    "emnist": (
        RemoteFile(
            "emnist-gzip.zip",
            (
                Mirror(
                    "https://rds.westernsydney.edu.au/Institutes/MARCS/BENS/EMNIST/emnist-gzip.zip",
                    "sha256:909a2a39c5e86bdd7662425e9b9c4a49bb582bf8d0edad427f3c3a9d0c6f7259",
                ),
                # The older archive: only its MD5 is known.
                Mirror(
                    "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
                    "md5:58c8d27c78d21e728a6bc7b3cc06412e",
                ),
            ),
        ),
    ),
    "cifar10": (
        RemoteFile(
            "cifar-10-binary.tar.gz",
            (
                Mirror(
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ),
            ),
        ),
    ),
}
"""The files of each folder in the cache."""

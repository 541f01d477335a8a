"""Small files in the true formats of the public sets, and a web server on this machine that hands them out."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from feature_lazy.data.registry import IDX_NAMES, Mirror, RemoteFile


def idx(array: np.ndarray) -> bytes:
    """An IDX file: 0, 0, 8 for unsigned bytes, the number of dimensions, each size as big-endian int32, the bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def images(n: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(n, *shape), dtype=np.uint8)


def mnist_files(classes: list[np.ndarray]) -> dict[str, bytes]:
    """The four files of MNIST with the given classes in the train and the test part."""
    arrays = [part for i, c in enumerate(classes) for part in (images(len(c), (28, 28), seed=i), c)]
    return {name: gzip.compress(idx(array)) for name, array in zip(IDX_NAMES, arrays, strict=True)}


def emnist_zip(split: str, classes: list[np.ndarray]) -> bytes:
    """EMNIST's archive of compressed IDX files, every image transposed, beside files of other splits."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("gzip/emnist-digits-train-images-idx3-ubyte.gz", b"another split")
        for i, (part, c) in enumerate(zip(("train", "test"), classes, strict=True)):
            stored = images(len(c), (28, 28), seed=i).transpose(0, 2, 1)
            for what, array in (("images-idx3", stored), ("labels-idx1", c)):
                archive.writestr(f"gzip/emnist-{split}-{part}-{what}-ubyte.gz", gzip.compress(idx(array)))
    return buffer.getvalue()


def cifar_records(classes: np.ndarray, seed: int) -> bytes:
    pixels = images(len(classes), (3, 32, 32), seed).reshape(len(classes), -1)
    return np.concatenate([classes[:, None].astype(np.uint8), pixels], axis=1).tobytes()


def cifar_tar(batches: list[np.ndarray], prefix: str = "cifar-10-batches-bin/") -> bytes:
    """CIFAR10's binary archive: five training batches and one of tests."""
    buffer = io.BytesIO()
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in [
            ("readme.html", b"about"),
            *((name, cifar_records(c, seed)) for seed, (name, c) in enumerate(zip(names, batches, strict=True))),
        ]:
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def remote(name: str, data: bytes, *urls: str) -> RemoteFile:
    """A registry entry for made-up content."""
    checksum = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return RemoteFile(name, tuple(Mirror(url, checksum) for url in urls or ("http://nowhere.invalid/",)))


@contextmanager
def web_server(content: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve paths on this machine: the server's address, and the list of paths that were asked for.

    A path that ends in ``cut`` promises more bytes than it sends.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = content.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"") + 10 * self.path.endswith("cut")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

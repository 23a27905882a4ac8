"""The gateway's transport compression."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

Compress: TypeAlias = Callable[[bytes], bytes]
"""Compresses one event within a connection's stream."""


def compressor(name: str | None) -> Compress | None:
    """Return the compression requested with compress=name."""
    if name is None:
        return None
    return {"zlib-stream": _zlib, "zstd-stream": _zstd}[name]()


def _zlib() -> Compress:
    stream = zlib.compressobj()
    return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)


def _zstd() -> Compress:
    # discord.py requests it if the package zstandard is installed, or if Python (3.14) includes it.
    try:
        library: Any = importlib.import_module("zstandard")
    except ImportError:
        stream = importlib.import_module("compression.zstd").ZstdCompressor()
        return lambda data: stream.compress(data, stream.FLUSH_BLOCK)
    stream = library.ZstdCompressor().compressobj()
    return lambda data: stream.compress(data) + stream.flush(library.COMPRESSOBJ_FLUSH_BLOCK)

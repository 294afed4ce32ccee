"""
Examples that are larger than memory: read block by block, and shuffled in a buffer.

`Network.SGD`, the evaluations and `test_data` take a `Stream` wherever they take (x, y). `open`
makes one of files, `batches` of any iterable. A format of files is a module here, and a row in the
table of `opening`.
"""

from cbackprop.streams.batches import batches
from cbackprop.streams.opening import open
from cbackprop.streams.stream import Stream

__all__ = ["Stream", "batches", "open"]

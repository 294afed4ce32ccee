"""
A page on this machine that shows a network while it trains: `cbackprop watch`.

`Server` serves what `Session` knows: one network and its data. The page itself is
`cbackprop.inspect.page`'s, which also exists as a file.

Examples
--------
>>> with Server(Session()) as server:
...     server.address.startswith("http://127.0.0.1:")
True
"""

from cbackprop.watch.problems import PROBLEMS, Problem
from cbackprop.watch.server import Server
from cbackprop.watch.session import Session

__all__ = ["PROBLEMS", "Problem", "Server", "Session"]

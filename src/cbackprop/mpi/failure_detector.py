"""A connection of each rank to rank 0: when a process dies, the system closes it at once."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import selectors
import socket
import threading
import time
from typing import Any

from cbackprop.mpi import messages

SECONDS = 5.0  # for a connection
GRACE = 2.0  # seconds in which the launcher may end the job: most do
LEAVES, DIES = b".", b"!"  # said by a rank that ends by itself, or because another has died
LOCAL = "127.0.0.1"

_own: list[socket.socket] = []  # this process's ends, of all communicators


def watch(comm: Any) -> None:
    """
    See that the death of a rank is told in a line, and ends all ranks: none waits for it.

    Launchers end the others, too, but few say which rank it was. Where ranks cannot reach rank 0,
    the job goes on without this.
    """
    if comm.size == 1:
        return
    names = messages.gathered(comm, f"process {os.getpid()} on {socket.gethostname()}")
    hosts = [name.partition(" on ")[2] for name in names]
    server, offer = None, ("", 0, b"")
    if comm.rank == 0:
        local = set(hosts) == {hosts[0]}
        with contextlib.suppress(OSError):
            server = socket.create_server((LOCAL if local else "", 0), backlog=comm.size)
            offer = (LOCAL if local else hosts[0], server.getsockname()[1], secrets.token_bytes(16))
    host, port, token = messages.gathered(comm, offer)[0]
    ends: dict[socket.socket, int] = {}
    if port and comm.rank:
        with contextlib.suppress(OSError):
            own = socket.create_connection((host, port), SECONDS)
            own.sendall(token + comm.rank.to_bytes(4, "big"))
            ends[own] = 0
    elif server is not None:
        server.settimeout(SECONDS)
        with contextlib.suppress(OSError):
            while len(ends) < comm.size - 1:
                came, _ = server.accept()
                came.settimeout(SECONDS)
                said = came.recv(20, socket.MSG_WAITALL)
                if said[:16] == token:
                    ends[came] = int.from_bytes(said[16:], "big")
        server.close()
    wanted = 1 if comm.rank else comm.size - 1
    if not all(messages.gathered(comm, len(ends) == wanted)):
        for each in ends:
            each.close()
        return
    if not _own:
        atexit.register(leave)
    for each in ends:
        each.settimeout(None)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _own.append(each)
    threading.Thread(target=_watch, args=(comm.rank, ends, names), daemon=True,
                     name="cbackprop-failure-detector").start()


def leave(word: bytes = LEAVES) -> None:
    """Say why this process ends, as nobody else will."""
    for end in _own:
        with contextlib.suppress(OSError):
            end.sendall(word)
            end.shutdown(socket.SHUT_WR)


def _watch(rank: int, ends: dict[socket.socket, int], names: list[str]) -> None:
    """Wait for a connection that closes without a word."""
    selector = selectors.DefaultSelector()
    for end in ends:
        selector.register(end, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            closing: Any = key.fileobj
            try:
                said = closing.recv(1)
            except OSError:
                said = b""
            selector.unregister(closing)
            if said == LEAVES:
                continue
            if said != DIES and rank < 2:  # rank 1 speaks for rank 0
                dead = ends[closing]
                line = f"cbackprop: error: rank {dead} has died, {names[dead]}: the job ends\n"
                os.write(2, line.encode())
            time.sleep(GRACE)
            leave(DIES)
            os._exit(1)

"""
The page and its messages by HTTP, for this machine's user alone.

It listens on 127.0.0.1. Its address has a token, without which nothing is answered. A request must
name this address as its Host, so that no other name can be pointed here, and come from this page if
it says where it comes from. No path leads to a file.
"""

from __future__ import annotations

import errno
import hmac
import json
import os
import queue
import secrets
import sys
import threading
import traceback
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar

from cbackprop import _check
from cbackprop._version import __version__
from cbackprop.inspect.page.document import document
from cbackprop.watch.session import Session

HOST = "127.0.0.1"
MAX_BODY = 2**16  # bytes of a message; a drawn digit takes 4,000
MAX_DRAINED = 2**22  # bytes that are read of a longer one
MAX_TABS = 16  # that listen at the same time
TIMEOUT = 30.0  # seconds without a byte of a request
HEARTBEAT = 1.0  # seconds after which a page that listens is seen to be closed
ERRORS = (TypeError, ValueError, OverflowError, MemoryError)  # what a message can be wrong in


class Server:
    """
    Serves a session until it is closed; a context manager.

    Parameters
    ----------
    session : Session
    port : int
        By default, a free one is found.

    Attributes
    ----------
    address : str
        The page's, with the token.

    Raises
    ------
    OSError
        If the port is in use, or not allowed.
    """

    def __init__(self, session: Session, port: int = 0) -> None:
        if not 0 <= (port := _check.integer("port", port, 0)) < 2**16:
            raise ValueError(f"port must be below {2**16}, got {port}")
        self.session, self.token = session, secrets.token_urlsafe(18)
        try:
            self._http = _HTTPServer((HOST, port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "in use" if error.errno == errno.EADDRINUSE else "not allowed"
            raise OSError(f"port {port} of {HOST} is {why}: without a port, a free one is "
                          f"found") from None
        self._http.watch = self
        self.port = self._http.server_address[1]
        self.origins = tuple(f"http://{host}:{self.port}" for host in (HOST, "localhost"))
        self.address = f"{self.origins[0]}/{self.token}/"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the training, let go of the pages and of the port."""
        self.session.close()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HTTPServer(ThreadingHTTPServer):
    watch: Server
    daemon_threads = True
    block_on_close = False  # pages that listen are let go, and not waited for
    allow_reuse_address = os.name != "nt"  # there, it would share a port that is in use

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a page that was closed while it was answered."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that is not answered: its status, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer
    server_version, sys_version = f"cbackprop/{__version__}", ""
    timeout = TIMEOUT
    ROUTES: ClassVar[dict[tuple[str, str], str]] = {
        ("GET", ""): "document", ("GET", "events"): "events", ("POST", "ask"): "ask"}

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        try:
            getattr(self, f"_{self._route()}")()
        except _RefusedError as refused:
            self.close_connection = True
            self._send_json({"error": str(refused)}, refused.status)

    def _route(self) -> str:
        """Return the name of what is asked for, if it may be."""
        watch = self.server.watch
        hosts = [origin.removeprefix("http://") for origin in watch.origins]
        if self.headers.get("Host") not in hosts:
            raise _RefusedError(HTTPStatus.FORBIDDEN, f"the host must be {hosts[0]}")
        if self.headers.get("Origin", watch.origins[0]) not in watch.origins:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests must come from the page itself")
        token, _, name = urllib.parse.urlsplit(self.path).path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), watch.token.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "the address must have the token that "
                                                 "cbackprop watch printed")
        if self.headers.get("Sec-Fetch-Site", "none") not in (
                "none", "same-origin") and name != "":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests must come from the page itself")
        if (self.command, name) not in self.ROUTES:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return self.ROUTES[self.command, name]

    # ---- routes ----

    def _document(self) -> None:
        html, policy = document({"version": __version__}, connects=True)
        self._send(html.encode(), "text/html; charset=utf-8", policy)

    def _ask(self) -> None:
        """Answer a message."""
        body = self._body()
        try:
            answer = self.server.watch.session.answer(
                json.loads(body, parse_constant=_refuse_constant))
        except RecursionError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the message is nested too deep") from None
        except ERRORS as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, " ".join(str(error).split())) from None
        except Exception as error:
            traceback.print_exc()
            raise _RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR,
                           f"a mistake in cbackprop: {error!r}") from None
        self._send_json(answer)

    def _body(self) -> bytes:
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                                "a message must be application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "a message must say its length")
        if len(length) > 9 or int(length) > MAX_BODY:
            if len(length) <= 9:  # who sends would not see the answer, if none of it were read
                self.rfile.read(min(int(length), MAX_DRAINED))
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                           f"a message must be at most {MAX_BODY:,} bytes")
        return self.rfile.read(int(length))

    def _events(self) -> None:
        """Send what happens, as it happens, until the page is closed or the session ends."""
        session = self.server.watch.session
        if session.listeners >= MAX_TABS:
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE,
                                f"at most {MAX_TABS} pages may listen")
        with session.listener() as events:
            self._head(HTTPStatus.OK, "text/event-stream")
            while True:
                try:
                    event = events.get(timeout=HEARTBEAT)
                    if event is None:
                        return
                    line = f"data: {json.dumps(event, allow_nan=False)}\n\n"
                except queue.Empty:
                    line = ":\n\n"
                try:
                    self.wfile.write(line.encode())
                    self.wfile.flush()
                except OSError:
                    return

    # ---- answers ----

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json", status=status)

    def _send(
        self, body: bytes, kind: str, policy: str = "default-src 'none'",
        status: HTTPStatus = HTTPStatus.OK, more: dict[str, str] | None = None,
    ) -> None:
        self._head(status, kind, policy, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(
        self, status: HTTPStatus, kind: str, policy: str = "default-src 'none'",
        more: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind, "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin", **(more or {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"a message must be JSON, which has no {name}")

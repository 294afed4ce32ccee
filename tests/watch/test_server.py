"""Who is answered: this page alone, with its token. And how the server begins and ends."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import numpy as np
import pytest
from refusals import one_line

import cbackprop
from cbackprop import Network
from cbackprop.inspect.page.document import document
from cbackprop.watch import Server, Session, server

LONG = 30  # seconds until a test gives up
STATE = b'{"ask": "state"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served():
    with Server(Session()) as made:
        yield made


def request(served, method, path, body=None, headers=None, token=None):
    """Return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LONG)
    token = served.token if token is None else token
    try:
        connection.request(method, f"/{token}/{path}", body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def refused(served, *args, **given):
    status, headers, body = request(served, *args, **given)
    assert headers["Content-Type"] == "application/json"
    (error,) = json.loads(body).values()
    assert "\n" not in error
    return status, error


def test_the_page_and_its_policy(served):
    status, headers, body = request(served, "GET", "")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    # Nothing is loaded from elsewhere: no address but the namespace of SVG is in it.
    assert set(re.findall(rb"https?://[^\s\"']*", body)) == {b"http://www.w3.org/2000/svg"}
    assert len(body) < 300_000


def test_it_listens_on_this_machine_alone(served):
    address = urllib.parse.urlsplit(served.address)
    assert (address.hostname, address.port) == ("127.0.0.1", served.port)
    assert len(served.token) >= 20
    with Server(Session()) as other:
        assert other.token != served.token
        assert other.port != served.port


def test_a_message_is_answered(served):
    status, headers, body = request(served, "POST", "ask", STATE, JSON)
    assert status == 200
    assert json.loads(body)["sizes"] == [2, 4, 1]
    assert headers["Cache-Control"] == "no-store"
    headers = JSON | {"Origin": f"http://127.0.0.1:{served.port}", "Sec-Fetch-Site": "same-origin"}
    assert request(served, "POST", "ask", STATE, headers)[0] == 200


@pytest.mark.parametrize("token", ["", "x", "x" * 24, "%00", "é"])
def test_a_wrong_token(served, token):
    for method, path in (("GET", ""), ("GET", "events"), ("POST", "ask")):
        status, error = refused(
            served, method, path, STATE, JSON, token=urllib.parse.quote(token, safe="%"))
        assert status == 403
        assert "token" in error


@pytest.mark.parametrize("headers", [
    {"Origin": "http://example.com"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Host": "example.com"}, {"Host": "127.0.0.1"}, {"Host": "evil.example:{port}"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_another_origin(served, headers):
    """Another site's page, and a name of another site that was pointed here."""
    headers = {name: value.format(port=served.port) for name, value in headers.items()}
    assert refused(served, "POST", "ask", STATE, JSON | headers)[0] == 403
    assert refused(served, "GET", "events", headers=headers)[0] == 403


@pytest.mark.parametrize("path", [
    "page.js", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "assets/page.css", "//etc/passwd",
    "events/", "ask"])
def test_no_path_is_a_file(served, path):
    assert refused(served, "GET", path)[0] == 404


@pytest.mark.parametrize(("body", "headers", "status", "rule"), [
    (b"", JSON, 400, "Expecting value"),
    (b"{", JSON, 400, "Expecting property name"),
    (b"\xff\xfe\x00", JSON, 400, ""),
    (b"NaN", JSON, 400, "no NaN"),
    (b"[" * 60_000, JSON, 400, "nested too deep"),
    (b'{"ask": "example", "row": ' + b"9" * 6000 + b"}", JSON, 400, ""),
    (b'{"ask": "example", "row": 1e999}', JSON, 400, "row must be an integer"),
    (b'"state"', JSON, 400, "must be an object"),
    (b'{"ask": "nothing"}', JSON, 400, "ask must be one of"),
    (STATE, {"Content-Type": "text/plain"}, 415, "application/json"),
    (STATE, {}, 415, "application/json"),
    (b" " * (server.MAX_BODY + 1), JSON, 413, "at most 65,536 bytes"),
    (STATE, JSON | {"Content-Length": "-1"}, 411, "length"),
    (STATE, JSON | {"Content-Length": "9" * 30}, 413, "at most"),
])
def test_a_malformed_or_huge_message(served, body, headers, status, rule):
    found, error = refused(served, "POST", "ask", body, headers)
    assert (found, rule in error) == (status, True)
    assert request(served, "POST", "ask", STATE, JSON)[0] == 200  # it goes on


def test_a_mistake_of_ours_is_told(served, monkeypatch, capsys):
    def mistake(message):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(served.session, "answer", mistake)
    status, error = refused(served, "POST", "ask", STATE, JSON)
    assert status == 500
    assert "ZeroDivisionError" in error
    assert "Traceback" in capsys.readouterr().err


class Tab:
    """A page that listens, as a browser's EventSource does."""

    def __init__(self, served):
        self.connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=LONG)
        self.connection.request("GET", f"/{served.token}/events")
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def next(self):
        """Return the next event; None is the end."""
        while line := self.response.readline():
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
        return None

    def close(self):
        self.response.close()
        self.connection.close()


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_tabs_and_a_closed_one(monkeypatch):
    monkeypatch.setattr(server, "HEARTBEAT", 0.1)
    with Server(Session()) as served:
        tabs = [Tab(served), Tab(served)]
        until(lambda: served.session.listeners == 2)
        body = b'{"ask": "activation", "name": "tanh"}'
        assert request(served, "POST", "ask", body, JSON)[0] == 200
        assert [tab.next()["event"] for tab in tabs] == ["frame"] * 2
        assert [tab.next()["event"] for tab in tabs] == ["changed"] * 2
        tabs[0].close()
        until(lambda: served.session.listeners == 1)
        request(served, "POST", "ask", b'{"ask": "train", "epochs": 1}', JSON)
        assert tabs[1].next() == {"event": "training", "training": True, "said": ""}
        served.session.close()
        events = []
        while (event := tabs[1].next()) is not None:
            events.append(event["event"])
        assert events[-1] == "training"
        tabs[1].close()


def test_too_many_tabs(served, monkeypatch):
    monkeypatch.setattr(server, "MAX_TABS", 0)
    assert refused(served, "GET", "events")[0] == 503


def test_a_busy_port():
    with Server(Session()) as first, one_line(
            OSError, f"port {first.port} of 127.0.0.1 is in use: without a port, a free one"):
        Server(Session(), first.port)


@pytest.mark.parametrize("port", [-1, 2**16, "http", None])
def test_no_port(port):
    with one_line((TypeError, ValueError), "port must be"):
        Server(Session(), port)


def test_closing_lets_go_of_everything():
    before = threading.active_count()
    with Server(Session()) as made:
        tab = Tab(made)
        made.session.answer({"ask": "train"})
        until(lambda: made.session.trains)
        port = made.port
    assert not made.session.trains
    while tab.next() is not None:  # what was under way, and then the end
        pass
    tab.close()
    until(lambda: threading.active_count() <= before)
    with socket.socket() as again, pytest.raises(ConnectionRefusedError):
        again.connect(("127.0.0.1", port))


def test_words_cannot_end_a_script():
    html, policy = document({"state": "</script><script>alert(1)</script>"}, connects=True)
    assert html.count("</script>") == 2
    assert "connect-src 'self'" in policy
    assert "connect-src 'none'" in document({}, connects=False)[1]


# ---- the command ----


@pytest.fixture
def command(tmp_path):
    """Start the command in an empty folder; it is ended if the test does not."""
    started = []

    def start(*args):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "cbackprop", "watch", "--no-browser", *args],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_the_command_ends_cleanly(command, tmp_path):
    process = command()
    address = process.stdout.readline().removeprefix("watch: ").strip()
    assert process.stdout.readline() == "Ctrl-C ends it.\n"
    at = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=LONG)
    connection.request("GET", at.path)
    assert connection.getresponse().status == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, err) == (0, "")
    assert out == "ended\n"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def serving(cli, monkeypatch):
    """Run the command in this process, and press Ctrl-C at once: what it serves, and prints."""
    def call(*args):
        sessions = []

        class Pressed(Server):
            def __enter__(self):
                sessions.append(self.session)
                return super().__enter__()

        def press(seconds):
            raise KeyboardInterrupt

        monkeypatch.setattr("cbackprop.watch.Server", Pressed)
        monkeypatch.setattr("time.sleep", press)
        status, out, err = cli("watch", "--no-browser", *map(str, args))
        return (sessions[0] if sessions else None), status, out, err

    return call


def test_the_command_as_json(serving):
    _, status, out, err = serving("--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["address"].startswith("http://127.0.0.1:")


def test_a_table_of_ones_own(serving, tmp_path):
    lines = [f"{a},{b},{'yes' if a > b else 'no'}" for a in range(6) for b in range(6)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["width,depth,wide", *lines]) + "\n")
    session, status, _, err = serving("--data", path)
    assert (status, err) == (0, "")
    state = session.answer({"ask": "state"})
    assert state["sizes"] == [2, 8, 2]
    assert (state["inputs"], state["classes"]) == (("width", "depth"), ("no", "yes"))
    assert state["rows"] == 36


def test_a_table_of_numbers_is_standardised(serving, tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("area,price\n" + "".join(f"{n}.5,{100_000.5 + 77 * n}\n" for n in range(40)))
    session, status, _, err = serving("--data", path)
    assert (status, err) == (0, "")
    assert session.y.shape == (40, 1)
    assert session.y.mean() == pytest.approx(0, abs=1e-12)
    assert session.y.std() == pytest.approx(1)
    state = session.answer({"ask": "state"})
    assert state["classes"] is None
    assert state["frames"][0]["accuracy"] is None


def test_a_network_of_ones_own(serving, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,b,kind\n" + "1,2,ant\n2,1,bee\n3,1,bee\n1,3,ant\n" * 10)
    trained = cbackprop.train_table(path, hidden=[3], epochs=2, seed=0)
    trained.network.save(tmp_path / "net.npz")
    session, status, _, err = serving(tmp_path / "net.npz", path)
    assert (status, err) == (0, "")
    np.testing.assert_array_equal(session.net.weights[0], trained.network.weights[0])
    assert session.answer({"ask": "state"})["classes"] == ("ant", "bee")
    output = session.answer({"ask": "example", "row": 1})["output"]
    table = cbackprop.tables.read(path).rows([1])
    np.testing.assert_allclose(output, trained.network.feedforward(table)[0], rtol=1e-4)


def test_digits_need_no_data(serving, tmp_path):
    Network([784, 5, 10], input_scale=1 / 255, seed=0).save(tmp_path / "net.npz")
    session, status, _, _ = serving(tmp_path / "net.npz")
    assert status == 0
    assert session.answer({"ask": "state"})["side"] == 28


@pytest.mark.parametrize(("args", "rule"), [
    (["missing.npz"], "missing.npz"),
    (["--data", "missing.csv"], "missing.csv"),
    (["net.npz"], "watch needs the data, as in cbackprop watch net.npz data.csv"),
    (["net.npz", "data.csv", "--target", "x"], "--target must be left out beside a network"),
    (["mine.csv"], "must be a saved network: cbackprop watch --data mine.csv"),
    (["--port", "70000"], "port must be below 65536"),
])
def test_what_is_not_there(serving, tmp_path, monkeypatch, args, rule):
    monkeypatch.chdir(tmp_path)
    Network([2, 1], seed=0).save("net.npz")
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n3,4\n")
    session, status, out, err = serving(*args)
    assert (session, status, out) == (None, 1, "")
    assert rule in err
    assert err.count("\n") == 1

"""What a gateway on the open internet is sent: refused with a clear 4xx or an ended connection, in bounded memory and time. By
sockets, for no library sends such things."""
import contextlib
import json
import os
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from fleet import Fleet, wait_for  # noqa: E402
from gateway import Gateway  # noqa: E402

BODY_MAX, IMPORT_MAX = 1 << 20, 8 << 20


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as f:
        yield f


@pytest.fixture(scope="module")
def probe(fleet):
    with Gateway(fleet, "gateway.probe", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_IDLE="2s") as g:
        g.ada = g.account("ada@example.org", "Ada")
        yield g


class Wire:
    """One connection."""

    def __init__(self, gateway, timeout=30):
        host, port = gateway.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.kept = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.kept += data
        return data

    def answer(self):
        """(status, headers, body) of the next answer; None when the connection ends before."""
        while b"\r\n\r\n" not in self.kept:
            if not self.more():
                return None
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        status, length = int(lines[0].split(" ")[1]), int(headers.get("content-length", 0))
        if status < 200 or status in (204, 304):
            length = 0
        while len(self.kept) < length:
            if not self.more():
                return None
        body, self.kept = self.kept[:length], self.kept[length:]
        return status, headers, body

    def ended(self):
        """Everything until the other side ends the connection."""
        while self.more():
            pass
        return self.kept


def ask(gateway, raw):
    with Wire(gateway) as wire:
        wire.send(raw)
        return wire.answer()


def status(gateway, raw):
    """Of the answer; 0 when the connection was ended without one."""
    answer = ask(gateway, raw)
    return answer[0] if answer else 0


def request(line, *headers, body=""):
    return "\r\n".join((line, "Host: x", *headers, "", body))


@pytest.fixture(autouse=True)
def still_well(probe):
    """Whatever was sent, afterwards the gateway answers and nothing is left under way."""
    yield
    assert probe.get("/probe/params?n=1").expect(200).json["n"] == "1"
    wait_for("nothing in flight", lambda: probe.metric("goalsync_gateway_in_flight") == 0)


# ---- paths and targets


@pytest.mark.parametrize("target, expected", [
    ("/probe/params%00", 400), ("/probe%2fparams", 400), ("/probe%2Fparams", 400), ("/probe/../probe/params", 404),
    ("/probe/%2e%2e/probe/params", 404), ("/./probe/params", 404), ("//probe/params", 404), ("/probe//params", 404),
    ("/probe/params/", 404), ("/probe/params;a=b", 404), ("/probe/%70arams", 200), ("/probe/par%zzams", 400), ("/probe/params%", 400),
    ("/probe/params%4", 400), ("/probe/%ff%fe", 400), ("/probe/%c0%af", 400), ("/probe/%0d%0aX-Evil:%201", 400),
    ("/probe\\params", 404), ("*", 400), ("probe/params", 400), ("http://x/probe/params", 200), ("http://evil.example/probe/params", 200),
    ("HTTPS://x:443/probe/params?n=2", 200), ("http://x", 404), ("ftp://x/probe/params", 400), ("/" + "a/" * 500, 400),
    ("/probe/params?text=%00", 400), ("/probe/params?text=%ff", 400), ("/probe/params?%zz=1", 400), ("/probe/params?n", 400),
    ("/probe/params?text=%0d%0aSet-Cookie:%20a=b", 400), ("/probe/params?" + "&" * 200, 200)])
def test_paths(probe, target, expected):
    assert status(probe, request(f"GET {target} HTTP/1.1")) == expected


@pytest.mark.parametrize("length", [8200, 40000, 4000000])
def test_long_targets(probe, length):
    assert status(probe, request(f"GET /{'a' * length} HTTP/1.1")) in (0, 414)


# ---- methods and versions


@pytest.mark.parametrize("line, expected", [
    ("CONNECT example.org:443 HTTP/1.1", {400, 405, 501}), ("TRACE /probe/params HTTP/1.1", {405}), ("get /probe/params HTTP/1.1", {405}),
    ("BREW /probe/params HTTP/1.1", {405}), (f"{'X' * 5000} /probe/params HTTP/1.1", {405, 400, 501}), ("GET /probe/params", {0, 400, 505}),
    ("GET /probe/params HTTP/2.0", {0, 400, 505}), ("GET /probe/params HTTP/1.9", {400, 505, 200}), ("PRI * HTTP/2.0", {0, 400, 505}),
    ("GET  /probe/params  HTTP/1.1", {0, 400, 404}), ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", {0, 400, 505}), ("GET /a b HTTP/1.1", {0, 400, 404})])
def test_methods_and_versions(probe, line, expected):
    answer = ask(probe, request(line, "X-Canary: tr4ce"))
    assert (answer[0] if answer else 0) in expected
    assert not answer or b"tr4ce" not in answer[2]


def test_a_name_of_the_host_is_asked_for(probe):
    assert status(probe, "GET /probe/params HTTP/1.1\r\n\r\n") == 400


# ---- headers


def test_many_and_large_headers(probe):
    assert status(probe, request("GET /probe/params HTTP/1.1", *(f"X-{i}: {i}" for i in range(60)))) == 200
    assert status(probe, request("GET /probe/params HTTP/1.1", *(f"X-{i}: {i}" for i in range(100)))) == 431
    assert status(probe, request("GET /probe/params HTTP/1.1", f"X-Large: {'a' * 20000}")) == 200
    assert status(probe, request("GET /probe/params HTTP/1.1", f"X-Large: {'a' * 100000}")) in (0, 431)
    assert status(probe, request("GET /probe/params HTTP/1.1", *(f"X-{i}: {i}" for i in range(100000)))) in (0, 431)


@pytest.mark.parametrize("header", [
    "X-\x01: a", "X-A: \x7f", "Authorization: Bearer a\r\nAuthorization: Bearer b",
    "Host: y", "Content-Type: a\r\nContent-Type: b", "If-Match: a\r\nIf-Match: b", "Cookie: a=1\r\nCookie: b=2"])
def test_headers_that_lie(probe, header):
    assert status(probe, request("GET /probe/params HTTP/1.1", header)) in (0, 400)


def test_a_zero_character_ends_a_header_at_most(probe):
    """libmicrohttpd reads up to it; nobody sees what stands behind."""
    answer = ask(probe, request("GET /probe/params HTTP/1.1", "X-Request-Id: seen\x00unseen"))
    assert not answer or answer[0] == 400 or (answer[0] == 200 and answer[1]["x-request-id"] == "seen")
    assert status(probe, request("GET /probe/params HTTP/1.1", "Transfer-Encoding: chunked\x00x", body="0\r\n\r\n")) in (0, 400)


@pytest.mark.parametrize("value", ["a\tb", "a;b", "<b>", "\xff\xfe", "a, b", "../../etc", "x" * 1000])
def test_nothing_is_echoed_that_could_be_taken_for_a_header(probe, value):
    answer = ask(probe, request("GET /probe/params HTTP/1.1", f"X-Request-Id: {value}", f"Origin: {value}", f"traceparent: {value}"))
    assert answer[0] == 200 and re.fullmatch("[0-9a-f]{32}", answer[1]["x-request-id"])


def test_etag_lists_that_are_none(probe):
    for value in ('"', '"a', 'W/', '"a" "b"', ",,,", '"a",', "\xff", "*, *", '"' + "a" * 5000 + '"'):
        assert status(probe, request("GET /probe/tenant HTTP/1.1", f"If-None-Match: {value}", f"Authorization: Bearer {probe.ada}")) \
            in (200, 400)


# ---- bodies


def post(path, *headers, body="", gateway=None, media="application/json"):
    return request(f"POST {path} HTTP/1.1", f"Authorization: Bearer {gateway.ada}", f"Content-Type: {media}", *headers, body=body)


def test_a_body_that_is_too_large_is_refused_unread(probe):
    with Wire(probe) as wire:
        wire.send(post("/probe/echo", f"Content-Length: {BODY_MAX + 1}", gateway=probe))
        code, headers, body = wire.answer()
        assert code == 413 and json.loads(body)["type"].endswith("/too-large") and headers["connection"].lower() == "close"
        wire.ended()
    assert status(probe, post("/probe/echo", "Content-Length: 99999999999999999999", gateway=probe)) in (400, 413)
    with Wire(probe) as wire:
        text = "x" * (IMPORT_MAX - 10)
        wire.send(post("/probe/import", f"Content-Length: {len(text)}", body=text, gateway=probe, media="text/csv"))
        assert json.loads(wire.answer()[2]) == {"bytes": len(text)}


def test_a_large_body_is_not_even_asked_for(probe):
    with Wire(probe) as wire:
        wire.send(post("/probe/echo", f"Content-Length: {BODY_MAX + 1}", "Expect: 100-continue", gateway=probe))
        assert wire.answer()[0] == 413
    with Wire(probe) as wire:
        wire.send(post("/probe/echo", "Content-Length: 2", "Expect: 100-continue", gateway=probe))
        assert wire.answer()[0] == 100
        wire.send("{}")
        assert wire.answer()[0] == 200
    assert status(probe, post("/probe/echo", "Content-Length: 2", "Expect: 200-ok", gateway=probe)) == 417


def chunk(text):
    return f"{len(text):x}\r\n{text}\r\n"


def test_chunks(probe):
    head = post("/probe/echo", "Transfer-Encoding: chunked", gateway=probe)
    assert ask(probe, head + chunk('{"a"') + chunk(":1}") + "0\r\n\r\n")[2] == b'{"a":1}'
    assert status(probe, head + chunk("x" * (BODY_MAX + 1)) + "0\r\n\r\n") == 413
    for broken in ("zz\r\n{}\r\n0\r\n\r\n", "-1\r\n{}\r\n", "ffffffffffffffffff\r\n{}", "2\r\n{}x\r\n0\r\n\r\n"):
        assert status(probe, head + broken) in (0, 400, 413)
    assert status(probe, head + "1;" + "a" * 100000) in (0, 400, 413, 500)  # an extension that fits nowhere: libmicrohttpd says 500


def test_endless_chunks_end(probe):
    with Wire(probe) as wire:
        wire.send(post("/probe/echo", "Transfer-Encoding: chunked", gateway=probe))
        for _ in range(200):
            wire.send(chunk("x" * 65536))
        wire.ended()


@pytest.mark.parametrize("headers", [
    ("Transfer-Encoding: chunked", "Content-Length: 2"), ("Content-Length: 2", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: xchunked",), ("Transfer-Encoding: chunked, identity",), ("Transfer-Encoding: identity",),
    ("Transfer-Encoding: gzip, chunked",), ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), ("Content-Length: 2", "Content-Length: 3"),
    ("Content-Length: 2", "Content-Length: 2"), ("Content-Length: -1",), ("Content-Length: +2",), ("Content-Length: 0x2",),
    ("Content-Length: 2, 2",), ("Content-Length: 2 2",), ("Content-Length: two",), ("Content-Length:",),
    ("Transfer-Encoding : chunked",), ("X: y", " Transfer-Encoding: chunked"), ("Transfer-Encoding: \x0bchunked",)])
def test_lengths_that_two_readers_would_read_differently(probe, headers):
    """Whatever is answered: what stands behind is never taken for a request of its own."""
    with Wire(probe) as wire:
        wire.send(post("/probe/echo", *headers, gateway=probe, body="0\r\n\r\nGET /probe/params?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"))
        first = wire.answer()
        assert not first or 400 <= first[0] < 500
        assert b'"n":"3"' not in wire.ended()


def test_broken_bodies(probe):
    for body, expected in ((b"{", 400), (b"\xff\xfe{\x00}\x00", 400), (b"[" * 50000, 400), (b'{"a":' * 40 + b"1" + b"}" * 40, 400),
                           (b'{"a":1}{"b":2}', 400), (b'{"a":1e999999}', 200), (b"<html>", 400), (b'"text"', 422), (b"null", 422),
                           (b'{"a":"\\u0000"}', 422), (b'{"\\u0000":1}', 422), (b'{"a":1,"\\u0061":2}', 422), (b'{"a":"\\ud800"}', 400)):
        answer = probe.post("/probe/echo", body, probe.ada)
        assert answer.status == expected, (body[:40], answer)


def test_packed_bodies_are_not_unpacked(probe):
    probe.post("/probe/echo", b"\x1f\x8b", probe.ada, headers={"Content-Encoding": "gzip"}).expect(415)


def test_more_parameters_than_fit_anywhere(probe):
    """libmicrohttpd splits the query into its own bounded memory before anybody is asked."""
    for _ in range(20):
        assert status(probe, request(f"GET /probe/params?{'n=1&' * 1500} HTTP/1.1")) in (0, 400, 431)


def test_half_a_request_is_none(probe):
    for cut in ("GET", "GET /probe/params HTTP/1.1\r\nHo", post("/probe/echo", "Content-Length: 100", gateway=probe) + '{"a":'):
        with Wire(probe) as wire:
            wire.send(cut)
            wire.socket.shutdown(socket.SHUT_WR)
            assert b" 200 " not in wire.ended()


# ---- several requests


def test_requests_in_one_go_are_answered_in_order(probe):
    with Wire(probe) as wire:
        wire.send("".join(request(f"GET /probe/params?n={n} HTTP/1.1") for n in (1, 2, 3)) +
                  post("/probe/echo", "Content-Length: 7", gateway=probe, body='{"a":1}') + request("GET /probe/params?n=4 HTTP/1.1"))
        assert [json.loads(wire.answer()[2])["n"] for _ in range(3)] == ["1", "2", "3"]
        assert wire.answer()[2] == b'{"a":1}'
        assert json.loads(wire.answer()[2])["n"] == "4"


def test_a_refused_request_does_not_run_into_the_next(probe):
    with Wire(probe) as wire:
        wire.send(request("GET /nowhere HTTP/1.1") + request("GET /probe/params?n=4 HTTP/1.1"))
        assert wire.answer()[0] == 404 and json.loads(wire.answer()[2])["n"] == "4"
    hidden = request("GET /probe/params?n=3 HTTP/1.1")
    with Wire(probe) as wire:  # refused before its body was read: the body is no request
        wire.send(request("POST /nowhere HTTP/1.1", f"Content-Length: {len(hidden)}", body=hidden))
        assert wire.answer()[0] == 404
        assert b'"n":"3"' not in wire.ended()
    with Wire(probe) as wire:
        wire.send(request("GET /probe/params?n=1 HTTP/1.1", f"Content-Length: {len(hidden)}", body=hidden))
        assert wire.answer()[0] == 400
        assert b'"n":"3"' not in wire.ended()


# ---- time, number, memory


def test_silence_ends_a_connection(fleet, probe):
    with Gateway(fleet, "gateway.silent", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_IDLE="1s") as g:
        for begun in ("", "GET /probe/params HTTP/1.1\r\nHost:", post("/probe/echo", "Content-Length: 100", gateway=probe) + '{"a":'):
            with Wire(g) as wire:
                wire.send(begun)
                assert b" 200 " not in wire.ended()


def test_a_trickle_ends_a_connection(fleet, probe):
    """Never silent, and never done."""
    with Gateway(fleet, "gateway.trickle", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_REQUEST="1s") as g:
        for begun in ("GET /probe/params HTTP/1.1\r\nX: ", post("/probe/echo", "Content-Length: 1000000", gateway=probe) + '{"a":'):
            with Wire(g, timeout=0.05) as wire:
                wire.send(begun)

                def ended():
                    try:
                        wire.socket.sendall(b"x")
                        return not wire.socket.recv(100)
                    except TimeoutError:
                        return False
                    except OSError:
                        return True
                wait_for("an end to the trickle", ended)


def test_an_answer_nobody_takes_ends(fleet, probe):
    with Gateway(fleet, "gateway.untaken", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_REQUEST="1s") as g:
        with Wire(g) as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(request("GET /probe/big?bytes=60000000 HTTP/1.1"))
            wait_for("the answer's end", lambda: g.metric('goalsync_gateway_requests_total{operation="probe_big",class="2xx"}') == 1
                     and g.metric("goalsync_gateway_in_flight") == 0)
            assert len(wire.ended()) < 60000000


def test_connections_of_one_address_are_counted(fleet, probe):
    with Gateway(fleet, "gateway.counted", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_CONNECTIONS_PER_ADDRESS="5") as g, \
            contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(g)) for _ in range(5)]
        for wire in wires:
            wire.send(request("GET /probe/params HTTP/1.1"))
            assert wire.answer()[0] == 200
        one_more = stack.enter_context(Wire(g))
        one_more.send(request("GET /probe/params HTTP/1.1"))
        assert one_more.answer() is None
        wires[0].send(request("GET /probe/params HTTP/1.1"))
        assert wires[0].answer()[0] == 200


def test_bodies_together_are_bounded(fleet, probe):
    with Gateway(fleet, "gateway.bodies", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_BODIES="4M") as g, \
            contextlib.ExitStack() as stack:
        head = post("/probe/echo", f"Content-Length: {BODY_MAX}", gateway=probe)
        wires = [stack.enter_context(Wire(g)) for _ in range(20)]
        for wire in wires:
            wire.send(head + "x" * (BODY_MAX - 1))
        for wire in wires:
            wire.send("x")
        codes = [wire.answer()[0] for wire in wires]
        assert set(codes) <= {400, 503} and 503 in codes
        before = g.metric("process_resident_memory_bytes")
        assert before < 1e9
        assert g.post("/probe/echo", {"a": 1}, probe.ada).status == 200


def test_answers_together_are_bounded(fleet, probe):
    ask_big = request("GET /probe/big?bytes=30000000 HTTP/1.1")
    with Gateway(fleet, "gateway.answers", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_ANSWERS="70M") as g, \
            contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(g)) for _ in range(2)]
        for wire in wires:  # who takes the first bytes of an answer, and no more
            wire.send(ask_big)
            wire.more()
            assert wire.kept.startswith(b"HTTP/1.1 200 ")
        refused = ask(g, ask_big)
        assert refused[0] == 503 and refused[1]["retry-after"] == "1" and b"large answers" in refused[2]
        assert ask(g, request("GET /probe/big?bytes=1000 HTTP/1.1"))[0] == 200
        assert len(wires[0].answer()[2]) == 30000000
        wait_for("room for another", lambda: ask(g, ask_big)[0] == 200)


def test_memory_stays_bounded_under_a_storm_of_nonsense(fleet, probe):
    # AddressSanitizer keeps what was freed for a while, to catch who still uses it.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"
    with Gateway(fleet, "gateway.storm", program="goalsync-gateway-probe", ASAN_OPTIONS=options) as g:
        blow(g, probe)


def blow(gateway, probe):
    def storm(n):
        kinds = (request(f"GET /{'%2e' * 1000} HTTP/1.1"), request("GET /probe/params HTTP/1.1", f"X: {'a' * 30000}"),
                 post("/probe/echo", "Content-Length: 1000000", gateway=probe) + "[" * 100000, "\x00" * 1000, "GET / HTTP/1.1\r\n" * 500,
                 request(f"GET /probe/params?{'n=1&' * 1500} HTTP/1.1"))
        with Wire(gateway) as wire:
            wire.send(kinds[n % len(kinds)])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storm, range(600)))
        wait_for("nothing in flight", lambda: gateway.metric("goalsync_gateway_in_flight") == 0)
        before = gateway.metric("process_resident_memory_bytes")
        list(pool.map(storm, range(1800)))
    wait_for("nothing in flight", lambda: gateway.metric("goalsync_gateway_in_flight") == 0)
    assert gateway.metric("process_resident_memory_bytes") < before + 64e6


def test_who_goes_away_in_the_middle_is_let_go(fleet, probe):
    """Long before any time-out."""
    with Gateway(fleet, "gateway.gone", program="goalsync-gateway-probe", GOALSYNC_GATEWAY_IDLE="1h", GOALSYNC_GATEWAY_REQUEST="1h") as g:
        for _ in range(5):
            with Wire(g) as wire:
                wire.send(post("/probe/echo", "Content-Length: 100", gateway=probe) + '{"a":')
        wait_for("nothing in flight", lambda: g.metric("goalsync_gateway_in_flight") == 0)

"""Timing and states, T1 to T20: what a single request on a quiet connection does not show.

T1 to T4 run before a drover whose limits are small, so that nobody waits long. The same four are
shown with drover's own limits, in virtual time, by test/gateway.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from machine import (BODY, DOCUMENT, MODEL, Answer, Bench, Connection, Script, Seen, error_text,
                     expect, says, wait_until, whole)
from oddities import CHUNKED, HOST, STREAMED, chunk, coded, get, post

SMALL_LIMITS = """\
loops: 1
limits:
  head_timeout: 1s
  body_stall_timeout: 1s
  write_stall_timeout: 1s
  connections: 20
"""

HIDDEN = post(path=b"/api/chat")


@dataclass(frozen=True)
class State:
    number: int
    name: str
    show: Callable[[Bench], None] | None = None
    oddities: tuple[str, ...] = ()  # rows of oddities.py that show it, or the rest of it
    small_limits: bool = False


def only_answer(connection: Connection, status: int, closed: bool = True) -> Answer:
    """The one answer; behind it the end of the connection, if `closed`."""
    if closed:
        connection.read_to_end()
        expect(connection.ended and not connection.was_reset, "the connection was not closed")
    answers = connection.read_answers([False])
    single = len(answers) == 1 and answers[0].whole
    expect(single, f"no single whole answer: {connection.raw[:200]!r}")
    expect(answers[0].status == status, f"{answers[0].status}, not {status}")
    if closed:
        expect(answers[0].field("connection") == "close", "closed without saying so")
    return answers[0]


def nothing_upstream(bench: Bench) -> None:
    seen, count = bench.instance.take()
    expect(not seen and not count, f"{count} bytes reached the instance")


def refused(bench: Bench, raw: bytes, status: int, finish: bool = False) -> None:
    with bench.connect() as connection:
        connection.send(raw)
        if finish:
            connection.finish()
        error_text(only_answer(connection, status).body, "native")
    nothing_upstream(bench)


def still_serves(bench: Bench) -> None:
    bench.instance.script = says(whole(DOCUMENT))
    with bench.connect() as connection:
        connection.send(post())
        expect(only_answer(connection, 200, closed=False).body == DOCUMENT, "another document")
    bench.instance.take()


# --- timing -----------------------------------------------------------------------------------

def dribbled(bench: Bench, beginning: bytes, rest: bytes) -> None:
    """The rest comes byte by byte, so nothing is ever still for as long as the limit."""
    with bench.connect() as connection:
        connection.send(beginning)
        for at in range(len(rest)):
            if connection.receive(0.05):
                break
            connection.send(rest[at:at + 1])
        error_text(only_answer(connection, 408).body, "native")
    nothing_upstream(bench)


def half_a_head(bench: Bench) -> None:
    refused(bench, b"POST /api/generate HTTP/1.1\r\nHost: loc", 408)
    dribbled(bench, b"POST /api/generate HTTP/1.1\r\n", b"X: " + b"y" * 400)


def half_a_body(bench: Bench) -> None:
    refused(bench, post()[:-5], 408)
    dribbled(bench, post(body=BODY + b" " * 400)[:-400], b" " * 399)


def idle_connections(bench: Bench) -> None:
    before = bench.drover.metric("drover_connections_evicted_total")
    idle: list[Connection] = []
    for _ in range(60):  # three times the limit
        idle.append(bench.connect())
        idle[-1].send(get())
        only_answer(idle[-1], 200, closed=False)
    still_serves(bench)
    for connection in idle[:40]:
        connection.read_to_end()
        expect(connection.ended, "one of the longest idle is still there")
    expect(not idle[-1].receive(0) or not idle[-1].ended, "the last to speak had to go")
    evicted = bench.drover.metric("drover_connections_evicted_total") - before
    expect(evicted >= 40, f"{evicted:g} counted as evicted")
    for connection in idle:
        connection.__exit__()


def slow_reader(bench: Bench) -> None:
    given_up = threading.Event()
    record = json.dumps({"model": MODEL, "response": "x" * 1000, "done": False}).encode() + b"\n"

    def endless(connection: socket.socket, _: Seen) -> None:
        try:
            connection.sendall(STREAMED[:STREAMED.index(b"\r\n\r\n") + 4])
            while True:
                connection.sendall(chunk(record))
        except OSError:
            given_up.set()

    bench.instance.script = endless
    with bench.connect() as connection:
        connection.send(post(body=json.dumps({"model": MODEL}).encode()))
        expect(given_up.wait(20), "the instance still works for a client that reads nothing")
        connection.read_to_end()
        expect(connection.was_reset, "a cut stream ended as if it were whole")
    still_serves(bench)


# --- order ------------------------------------------------------------------------------------

def _one_at_a_time(reached: threading.Semaphore, go_on: threading.Semaphore) -> Script:
    def script(connection: socket.socket, _: Seen) -> None:
        reached.release()
        if go_on.acquire(timeout=20):
            connection.sendall(whole(DOCUMENT))

    return script


def pipelined_in_order(bench: Bench) -> None:
    reached, go_on = threading.Semaphore(0), threading.Semaphore(0)
    bench.instance.script = _one_at_a_time(reached, go_on)
    with bench.connect() as connection:
        connection.send(post() + get() + post())
        expect(reached.acquire(timeout=10), "the first never reached the instance")
        expect(len(bench.instance.take()[0]) == 1, "the second was begun before the first was over")
        expect(not connection.raw, "answered before the first was over")
        go_on.release()
        expect(reached.acquire(timeout=10), "the third never reached the instance")
        go_on.release()
        bodies = [answer.body for answer in connection.read_answers([False] * 3)]
        expect(bodies == [DOCUMENT, b"Ollama is running", DOCUMENT], f"answered {bodies}")
    still_serves(bench)


def pipelined_behind_close(bench: Bench) -> None:
    with bench.connect() as connection:
        connection.send(post(b"Connection: close\r\n") + HIDDEN + HIDDEN)
        only_answer(connection, 200)
    expect(len(bench.instance.take()[0]) == 1, "what came behind the last request was read")


def expectations(bench: Bench) -> None:
    head, body = post(b"Expect: 100-continue\r\n").split(b"\r\n\r\n")
    with bench.connect() as connection:
        connection.send(head + b"\r\n\r\n")
        wait_until(lambda: connection.raw or not connection.receive(), "an interim answer")
        expect(connection.raw == b"HTTP/1.1 100 Continue\r\n\r\n", f"said {connection.raw[:80]!r}")
        nothing_upstream(bench)
        connection.send(body)
        only_answer(connection, 200, closed=False)
    bench.instance.take()
    refused(bench, post(b"Expect: a-miracle\r\n"), 417)
    # Refused by its head: no 100, and the body that comes anyway is nobody's next request.
    with bench.connect() as connection:
        lost = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n"
        connection.send(lost + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN)
        expect(b" 100 " not in connection.read_to_end(), "asked for a body that it does not want")
        only_answer(connection, 404)
    nothing_upstream(bench)


# --- ends -------------------------------------------------------------------------------------

def short_body(bench: Bench) -> None:
    refused(bench, post().replace(b"Length: ", b"Length: 1"), 400, finish=True)


def no_last_chunk(bench: Bench) -> None:
    for body in (chunk(), chunk() + b"0\r\n", chunk() + b"0\r\nX: y\r\n", chunk()[:-2], b"5"):
        refused(bench, coded(body), 400, finish=True)


def bodies_without_meaning(bench: Bench) -> None:
    length = b"Content-Length: %d\r\n" % len(HIDDEN)
    rows = ((b"GET", b"/", 200), (b"GET", b"/api/tags", 200), (b"DELETE", b"/api/chat", 405),
            (b"OPTIONS", b"/api/chat", 204), (b"GET", b"/nowhere", 404))
    for method, path, status in rows:
        for body in (get(path, length, method) + HIDDEN,
                     get(path, CHUNKED, method) + chunk(HIDDEN) + b"0\r\n\r\n"):
            with bench.connect() as connection:
                connection.send(body)
                only_answer(connection, status)
            nothing_upstream(bench)
    with bench.connect() as connection:
        connection.send(get(b"/", length, b"HEAD") + HIDDEN)
        connection.read_to_end()
        expect(connection.raw.count(b"HTTP/1.1") == 1 and connection.ended, "more than one answer")
    nothing_upstream(bench)


def client_resets(bench: Bench) -> None:
    left = threading.Event()
    reached = threading.Event()

    def waits(connection: socket.socket, _: Seen) -> None:
        reached.set()
        if not connection.recv(1):
            left.set()

    bench.instance.script = waits
    for raw in (b"POST /api/gen", post()[:-3], coded(chunk()[:9]), get() + post()[:30]):
        connection = bench.connect()
        connection.send(raw)
        connection.reset()
    nothing_upstream(bench)
    connection = bench.connect()
    connection.send(post())
    expect(reached.wait(10), "the request never reached the instance")
    connection.reset()
    expect(left.wait(10), "the instance still works for a client that is gone")
    wait_until(lambda: bench.drover.metric("drover_requests_active") == 0, "no request is left")
    wait_until(lambda: bench.drover.metric("drover_connections_open") == 0, "no connection is left")
    bench.instance.take()
    still_serves(bench)


# --- names and fields -------------------------------------------------------------------------

def absolute_form_names(bench: Bench) -> None:
    evil = b"Host: evil.example\r\n"
    refused(bench, post(path=b"http://evil.example/api/generate", host=evil), 421)
    refused(bench, post(path=b"http://evil.example/api/generate"), 400)
    refused(bench, post(path=b"http://localhost/api/generate", host=evil), 400)
    refused(bench, post(path=b"http://user@localhost/api/generate"), 400)
    refused(bench, post(path=b"http://evil.example/api/generate", host=b"").replace(
        b"HTTP/1.1", b"HTTP/1.0"), 421)
    refused(bench, post(host=evil), 421)


def never_upgraded(bench: Bench) -> None:
    for upgrade in (b"h2c", b"websocket", b"TLS/1.0", b"HTTP/2.0"):
        bench.instance.script = says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + upgrade
                                     + b"\r\nConnection: Upgrade\r\n\r\n" + whole(DOCUMENT))
        with bench.connect() as connection:
            connection.send(post(b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"))
            only_answer(connection, 502, closed=False)
            expect(b"101" not in connection.raw.split(b"\r\n")[0], "switched protocols")
        seen = bench.instance.take()[0]
        expect(seen and not seen[0].values("upgrade"), "an instance was asked to upgrade")
        still_serves(bench)  # two failures in a row would take the instance out


def answer_fields(bench: Bench) -> None:
    """What an instance says about its hop, or to a browser, ends at drover."""
    lines = (b"Connection: x-secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=1\r\nUpgrade: h2c\r\n"
             b"Proxy-Authenticate: Basic\r\nTrailer: X-T\r\nTE: trailers\r\nSet-Cookie: a=b\r\n"
             b"Location: http://evil.example/\r\nAlt-Svc: h3=\":1\"\r\nServer: x\r\n"
             b"Access-Control-Allow-Origin: *\r\nX-Request-ID: forged\r\n"
             b"X-Drover-Backend: forged\r\n")
    head, document = whole(DOCUMENT).split(b"\r\n\r\n")
    stream = STREAMED.replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n", 1)
    for reply in (head + b"\r\n" + lines + b"\r\n" + document, stream):
        bench.instance.script = says(reply)
        with bench.connect() as connection:
            connection.send(post() if reply is not stream else post(
                body=json.dumps({"model": MODEL}).encode()))
            answer = only_answer(connection, 200, closed=False)
        allowed = {"content-type", "content-length", "transfer-encoding", "x-request-id",
                   "x-drover-backend"}
        more = {name.lower() for name, _ in answer.fields} - allowed
        expect(not more, f"passed on: {sorted(more)}")
        expect("forged" not in answer.field("x-request-id") + answer.field("x-drover-backend"),
               "an instance spoke for drover")
    still_serves(bench)


# --- other protocols --------------------------------------------------------------------------

def leading_empty_lines(bench: Bench) -> None:
    refused(bench, b"\r\n" * 5_000_000, 400)
    refused(bench, b"\r\n\r\n" + post(), 400)


def tls_hello(bench: Bench) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(1, 190))
    refused(bench, hello, 400)


def proxy_protocol(bench: Bench) -> None:
    refused(bench, b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n" + post(), 400)
    refused(bench, b"PROXY UNKNOWN\r\n" + post(), 400)
    binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x9c\x40\0\x50"
    refused(bench, binary + post(), 400)


STATES = [
    State(1, "a head that never ends is 408", half_a_head, small_limits=True),
    State(2, "a body that stalls is 408", half_a_body, small_limits=True),
    State(3, "idle connections give way, the oldest first", idle_connections, small_limits=True),
    State(4, "a client that reads nothing frees its instance", slow_reader, small_limits=True),
    State(5, "pipelined requests are handled one after the other", pipelined_in_order),
    State(6, "what comes behind Connection: close is ignored", pipelined_behind_close),
    State(7, "100 only when the body is wanted, other expectations 417", expectations),
    State(8, "a body shorter than its length is 400", short_body),
    State(9, "a chunked body without its last chunk is 400", no_last_chunk),
    State(10, "trailers are discarded",
          oddities=("a trailer", "trailers that would change the request",
                    "a trailer that was announced")),
    State(11, "a body that nobody reads is no next request", bodies_without_meaning),
    State(12, "a client that resets leaves nothing behind", client_resets),
    State(13, "absolute form is held to the allowed hosts", absolute_form_names,
          ("absolute form with our own authority",)),
    State(14, "HTTP/1.0 closes by default and gets neither 1xx nor chunks",
          oddities=("HTTP/1.0", "HTTP/1.0 with keep-alive",
                    "Expect from HTTP/1.0, which gets no 100",
                    "a stream to HTTP/1.0 is bare and ends by the close")),
    State(15, "nobody is upgraded", never_upgraded,
          ("Upgrade to h2c", "Upgrade to a WebSocket", "Upgrade that Connection does not name")),
    State(16, "what Connection names stays here",
          oddities=("a list in Connection", "two Connection fields", "Connection: authorization")),
    State(17, "fields of one hop end at it, both ways", answer_fields,
          ("TE: trailers", "Proxy-Connection and Proxy-Authorization",
           "what says where a request came from")),
    State(18, "ten megabytes of empty lines are 400", leading_empty_lines),
    State(19, "a TLS client is told 400 at once; no listener speaks TLS", tls_hello),
    State(20, "PROXY protocol, text or binary, is 400", proxy_protocol),
]

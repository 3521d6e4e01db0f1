"""Raw bytes to a real drover, and what came of them: at the client, and at the instance behind it.

Three parts. `Instance` looks healthy to drover's own checks and keeps every other byte that reaches
it. `Connection` is a client that sends exactly what it is told. `Proxy` is the drover between them.
No wait is a pause: each ends by what it waits for, and fails after a bound.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from fleet import Drover, wait_until  # noqa: E402

SECONDS = 10.0  # for anything that should happen at once
MODEL = "m:latest"
BODY = json.dumps({"model": MODEL, "stream": False, "max_tokens": 1, "prompt": "Why is it blue?",
                   "messages": [{"role": "user", "content": "Why is it blue?"}],
                   "suffix": "Because of how the air scatters light."}).encode()
DOCUMENT = json.dumps({"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "response": "hello",
                       "done": True, "done_reason": "stop"}).encode()

Fields = list[tuple[str, str]]


class Wrong(Exception):
    """What a case shows that it should not."""


def expect(condition: object, sentence: str) -> None:
    if not condition:
        raise Wrong(sentence)


# --- the instance -----------------------------------------------------------------------------

_CHECKS = {b"GET / ": b"Ollama is running", b"GET /api/version ": b'{"version":"0.32.15"}',
           b"GET /api/ps ": b'{"models":[]}',
           b"GET /api/tags ": json.dumps({"models": [
               {"name": MODEL, "model": MODEL, "modified_at": "2026-01-01T00:00:00Z", "size": 1000,
                "digest": "a" * 64, "details": {"format": "gguf", "family": "llama"}}]}).encode()}


@dataclass
class Seen:
    """One request as it reached the instance."""

    method: str
    path: str
    version: str
    fields: Fields
    body: bytes
    head: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]


def whole(body: bytes, status: str = "200 OK", content_type: str = "application/json") -> bytes:
    return (f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


Script = Callable[[socket.socket, Seen], None]


def says(data: bytes, then_closes: bool = False) -> Script:
    def script(connection: socket.socket, _: Seen) -> None:
        connection.sendall(data)
        if then_closes:
            connection.shutdown(socket.SHUT_WR)

    return script


class Instance:
    """Frames leniently, as whoever smuggles hopes: a head ends at an empty line of any kind."""

    def __init__(self) -> None:
        self.script = says(whole(DOCUMENT))
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> tuple[list[Seen], int]:
        """The requests, and the bytes of all kinds, since the last call; drover's checks apart."""
        with self._lock:
            seen, self._seen = self._seen, []
            count, self._bytes = self._bytes, 0
            return seen, count

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data, counted = b"", 0
        with connection:
            try:
                while piece := connection.recv(65536):
                    data += piece
                    while size := self._serve_one(connection, data, counted):
                        data, counted = data[size:], 0
                    counted = self._count(data, counted)
            except OSError:
                pass

    def _count(self, data: bytes, counted: int) -> int:
        """Counts what is no check of drover's, be it a request or not."""
        if any(data.startswith(check) or check.startswith(data) for check in _CHECKS):
            return counted
        with self._lock:
            self._bytes += len(data) - counted
        return len(data)

    def _serve_one(self, connection: socket.socket, data: bytes, counted: int) -> int:
        """Answers the request at the front of `data`; its size, or 0 while it is not whole."""
        for check, answer in _CHECKS.items():
            if data.startswith(check) and (end := data.find(b"\r\n\r\n")) >= 0:
                connection.sendall(whole(answer))
                return end + 4
        seen, size = _read_leniently(data)
        if seen is None:
            return 0
        self._count(data[:size], counted)
        with self._lock:
            self._seen.append(seen)
        self.script(connection, seen)
        return size


def _read_leniently(data: bytes) -> tuple[Seen | None, int]:
    end = re.search(rb"\r?\n\r?\n", data)
    if not end:
        return None, 0
    lines = re.split(rb"\r?\n", data[:end.start()])
    words = lines[0].decode("latin-1").split()
    fields = []
    for line in lines[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        fields.append((name, value.strip(" \t")))
    seen = Seen(*[*words, "", "", ""][:3], fields, b"", data[:end.end()])
    if any("chunked" in value for value in seen.values("transfer-encoding")):
        seen.body, size = _read_chunks(data, end.end())
        return (seen, size) if size else (None, 0)
    lengths = [int(value) for value in seen.values("content-length") if value.isdigit()]
    size = end.end() + (lengths[0] if lengths else 0)
    seen.body = data[end.end():size]
    return (seen, size) if len(data) >= size else (None, 0)


def _read_chunks(data: bytes, at: int) -> tuple[bytes, int]:
    """The decoded body and where it ends; 0 while it is not whole."""
    body = b""
    while match := re.compile(rb"[ +]?(?:0x)?([0-9a-fA-F_]*)[^\n]*\n").match(data, at):
        size, at = int(match[1] or b"0", 16), match.end()
        if size == 0:
            end = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n").match(data, at)
            return body, end.end() if end else 0
        body += data[at:at + size]
        at += size
        if data[at:at + 1] == b"\r":
            at += 1
        if data[at:at + 1] == b"\n":
            at += 1
    return body, 0


# --- the client -------------------------------------------------------------------------------

@dataclass
class Answer:
    status: int
    version: str
    fields: Fields
    body: bytes = b""
    whole: bool = True  # its own framing says so
    by_close: bool = False

    def field(self, name: str) -> str:
        return ", ".join(value for key, value in self.fields if key.lower() == name.lower())


class Connection:
    """Exact bytes out; what came back is kept as it is."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = b""
        self.ended = False
        self.was_reset = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """All of it, or as much as the other side takes before it closes."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_in_pieces(self, pieces: Sequence[bytes]) -> None:
        """Each piece once the other side has read the one before, so that it sees every cut."""
        for piece in pieces:
            self.send(piece)
            wait_until_read(self._socket)

    def forget(self) -> None:
        """Of what came back, before another request on the same connection."""
        self.raw = b""

    def finish(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def receive(self, seconds: float = SECONDS) -> bool:
        """More bytes, or the end; False: nothing within the time."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data, self.was_reset = b"", True
        self.raw += data
        self.ended = not data
        return True

    def read_to_end(self, seconds: float = SECONDS) -> bytes:
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            self.receive(max(0.0, deadline - time.monotonic()))
        return self.raw

    def read_answers(self, heads: Sequence[bool], seconds: float = SECONDS) -> list[Answer]:
        """As many final answers as `heads` has members (True: to a HEAD), or what came instead."""
        deadline = time.monotonic() + seconds
        while True:
            answers, rest = read_answers(self.raw, heads, self.ended)
            if len(answers) > len(heads) or (len(answers) == len(heads) and answers[-1].whole):
                expect(not rest, f"bytes behind the last answer: {rest[:80]!r}")
                return answers
            if self.ended or not self.receive(max(0.0, deadline - time.monotonic())):
                return answers


def read_answers(raw: bytes, heads: Sequence[bool], ended: bool) -> tuple[list[Answer], bytes]:
    """The final answers in `raw`, strictly read, and the bytes that belong to none."""
    answers: list[Answer] = []
    while raw:
        end = raw.find(b"\r\n\r\n")
        if end < 0:
            break
        answer = _read_head(raw[:end].decode("latin-1"))
        raw = raw[end + 4:]
        if answer.status < 200:
            expect(answer.version == "HTTP/1.1" and answer.status == 100,
                   f"an interim answer {answer.status}")
            continue
        head_only = len(answers) < len(heads) and heads[len(answers)]
        raw = _read_body(answer, raw, head_only, ended)
        answers.append(answer)
        if not answer.whole:
            break
    return answers, raw


def _read_head(text: str) -> Answer:
    line, *lines = text.split("\r\n")
    match = re.fullmatch(r"(HTTP/1\.1) (\d{3}) [ -~]*", line)
    expect(match, f"no status line: {line[:80]!r}")
    assert match
    fields = []
    for each in lines:
        pair = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\x00-\x08\x0a-\x1f\x7f]*)", each)
        expect(pair, f"no header field: {each[:80]!r}")
        assert pair
        fields.append((pair[1], pair[2]))
    return Answer(int(match[2]), match[1], fields)


def _read_body(answer: Answer, raw: bytes, head_only: bool, ended: bool) -> bytes:
    length, coding = answer.field("content-length"), answer.field("transfer-encoding")
    expect(not (length and coding), "an answer with a length and a coding")
    if head_only or answer.status in (204, 304):
        return raw
    if coding:
        expect(coding == "chunked", f"an answer coded {coding}")
        answer.body, size = _read_chunks(raw, 0)
        answer.whole = size > 0
        return raw[size:] if size else b""
    if length:
        answer.body = raw[:int(length)]
        answer.whole = len(answer.body) == int(length)
        return raw[int(length):]
    answer.body, answer.whole, answer.by_close = raw, ended, True
    return b""


def wait_until_read(connection: socket.socket) -> None:
    """Until the process at the other end of the loopback has taken what was sent."""
    wait_until(lambda: _unread_bytes(connection) == 0, "the other side reads", SECONDS)


_SOCK_DIAG, _BY_FAMILY, _REQUEST, _ERROR = 4, 20, 1, 2  # of netlink, see sock_diag(7)


def _unread_bytes(connection: socket.socket) -> int:
    """What waits in the kernel for the process at the other end; 0 when the socket is gone."""
    ours, theirs = connection.getsockname()[:2], connection.getpeername()[:2]
    addresses = b"".join(socket.inet_aton(host).ljust(16, b"\0") for host, _ in (theirs, ours))
    ports = struct.pack(">HH", theirs[1], ours[1])
    any_cookie = struct.pack("=III", 0, 0xffffffff, 0xffffffff)
    question = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff)
    question += ports + addresses + any_cookie
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(question), _BY_FAMILY, _REQUEST, 1, 0)
                    + question)
        answer = kernel.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        return 0
    return int(struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0])  # idiag_rqueue


# --- drover between them ----------------------------------------------------------------------

@dataclass
class Bench:
    """An instance with the drover before it; a context manager."""

    config: str = "{}\n"
    instance: Instance = field(default_factory=Instance)

    def __enter__(self) -> Bench:
        # What goes upstream is counted: no loads of drover's own.
        self.drover = Drover.in_front_of([self.instance.url], "least_loaded", self.config)
        self.port = self.drover.port
        return self

    def __exit__(self, *_: object) -> None:
        crashed = self.drover.crashed()
        self.drover.stop()
        self.instance.close()
        if crashed:
            raise AssertionError(f"drover crashed: {crashed}")

    def connect(self) -> Connection:
        return Connection(self.port)

    def counts(self) -> dict[str, float]:
        """What drover counts of refused input: {"malformed": …, "not_found": …}, by counter."""
        pattern = r'^drover_(http_malformed|rejected)_total\{reason="(\w+)"\} (\S+)$'
        return {f"{counter}:{reason}": float(value) for counter, reason, value
                in re.findall(pattern, self.drover.metrics(), re.M)}

    def wait_counts(self, before: dict[str, float], grown: dict[str, float]) -> None:
        """Until exactly `grown` has been added to `before`."""
        wanted = {**before, **{name: before.get(name, 0) + by for name, by in grown.items()}}
        try:
            wait_until(lambda: self.counts() == wanted, "the counters", 2.0)
        except TimeoutError:
            now = self.counts()
            added = {name: value - before.get(name, 0) for name, value in now.items()
                     if value != before.get(name, 0)}
            raise Wrong(f"counted {added}, not {grown}") from None


def error_text(body: bytes, dialect: str) -> str:
    """The message of an error body; it must be of this dialect and no other."""
    try:
        document = json.loads(body)
    except ValueError:
        raise Wrong(f"an error that is no JSON: {body[:80]!r}") from None
    error = document.get("error") if isinstance(document, dict) else None
    if dialect == "native":
        expect(set(document) == {"error"} and isinstance(error, str), f"not Ollama's: {document}")
        return str(error)
    expect(isinstance(error, dict), f"no error object: {document}")
    if dialect == "anthropic":
        right = document.get("type") == "error" and "param" not in error
        expect(right, f"not Anthropic's: {document}")
    else:
        expect("type" not in document and "param" in error, f"not OpenAI's: {document}")
    return str(error["message"])

"""Asking drover over bare sockets: exact bytes out, every piece of the answer with its time.

Questions are echoes: the simulated models give the words of the question back, so each answer is
known beforehand, and a lost, doubled or foreign token is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fleet import CHAT_MODEL

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0


@dataclass(frozen=True)
class Dialect:
    """One way to ask, and how to read its records."""

    name: str
    path: str
    body: Callable[[str], dict[str, Any]]
    content: Callable[[Any], str]  # of one record of a stream
    whole: Callable[[Any], str]  # of an answer in one document
    terminal: Callable[[Any], bool]
    sse: bool = False


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _openai_delta(record: Any) -> str:
    choices = record.get("choices") if isinstance(record, dict) else None
    return (choices[0].get("delta", {}).get("content") or "") if choices else ""


def _anthropic_delta(record: Any) -> str:
    if record.get("type") != "content_block_delta":
        return ""
    return str(record.get("delta", {}).get("text", ""))


GENERATE = Dialect(
    "generate", "/api/generate", lambda prompt: {"prompt": prompt},
    lambda record: record.get("response", ""), lambda answer: answer["response"],
    lambda record: record.get("done") is True)
CHAT = Dialect(
    "chat", "/api/chat", lambda prompt: {"messages": _messages(prompt)},
    lambda record: record.get("message", {}).get("content", ""),
    lambda answer: answer["message"]["content"], lambda record: record.get("done") is True)
OPENAI = Dialect(
    "openai", "/v1/chat/completions", lambda prompt: {"messages": _messages(prompt)},
    _openai_delta, lambda answer: answer["choices"][0]["message"]["content"],
    lambda record: record == "[DONE]", sse=True)
ANTHROPIC = Dialect(
    "anthropic", "/v1/messages",
    lambda prompt: {"messages": _messages(prompt), "max_tokens": 100_000},
    _anthropic_delta, lambda answer: answer["content"][0]["text"],
    lambda record: record.get("type") == "message_stop", sse=True)
DIALECTS = (GENERATE, CHAT, OPENAI, ANTHROPIC)


def words(label: str, count: int) -> str:
    """A text that no other request has."""
    return " ".join(f"{label}.{number}" for number in range(count))


@dataclass
class Outcome:
    """What a client saw of one request. Times are monotonic nanoseconds; 0 is never."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    records: list[Any] = field(default_factory=list)
    text: str = ""
    pieces: int = 0
    terminal: bool = False
    error: str = ""  # of an error record, or of an error answer
    error_at: int = 0
    sent_at: int = 0
    first_content_at: int = 0
    ended_at: int = 0
    clean_end: bool = False  # the framing of HTTP was complete

    @property
    def complete(self) -> bool:
        return self.status == 200 and self.terminal and self.clean_end and not self.error


def request_bytes(port: int, method: str, path: str, body: bytes = b"",
                  fields: tuple[str, ...] = ()) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def question(dialect: Dialect, prompt: str, stream: bool = True, model: str = CHAT_MODEL,
             **more: Any) -> bytes:
    return json.dumps({"model": model, "stream": stream, **dialect.body(prompt), **more}).encode()


class Conversation:
    """One connection to one port; requests go out as they are, answers come back in pieces."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Conversation:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", port, limit=1 << 20), CONNECT_SECONDS)
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, seconds: float = READ_SECONDS) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(seconds):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.lower()] = value.strip()
        return int(lines[0].split(" ")[1]), headers

    async def pieces(self, headers: dict[str, str]) -> AsyncIterator[bytes]:
        """The decoded body as it comes; raises IncompleteReadError when its framing is cut."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._line()).split(b";")[0], 16):
                yield (await self._exactly(size + 2))[:-2]
            await self._line()
        elif "content-length" in headers:
            if size := int(headers["content-length"]):
                yield await self._exactly(size)
        else:
            while data := await self._some():
                yield data

    async def _line(self) -> bytes:
        async with asyncio.timeout(READ_SECONDS):
            return (await self.reader.readuntil(b"\r\n"))[:-2]

    async def _exactly(self, size: int) -> bytes:
        async with asyncio.timeout(READ_SECONDS):
            return await self.reader.readexactly(size)

    async def _some(self) -> bytes:
        async with asyncio.timeout(READ_SECONDS):
            return await self.reader.read(65536)

    def leave(self) -> int:
        """Closes at once; returns the moment before, monotonic nanoseconds."""
        moment = time.monotonic_ns()
        self.writer.transport.abort()
        return moment

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class _Records:
    """Cuts a body into NDJSON lines or SSE data events and keeps what they say."""

    def __init__(self, dialect: Dialect, outcome: Outcome) -> None:
        self._dialect = dialect
        self._outcome = outcome
        self._rest = b""

    def feed(self, data: bytes, now: int) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._dialect.sse:
                if not line.startswith(b"data:"):
                    continue
                line = line[5:].strip()
            if line:
                self._keep(line, now)

    def _keep(self, line: bytes, now: int) -> None:
        outcome = self._outcome
        record = "[DONE]" if line == b"[DONE]" else json.loads(line)
        outcome.records.append(record)
        outcome.terminal |= self._dialect.terminal(record)
        if isinstance(record, dict) and record.get("error"):
            outcome.error = json.dumps(record["error"])
            outcome.error_at = now
        elif isinstance(record, dict) and (text := self._dialect.content(record)):
            outcome.text += text
            outcome.pieces += 1
            outcome.first_content_at = outcome.first_content_at or now


async def read_answer(conversation: Conversation, dialect: Dialect, stream: bool,
                      outcome: Outcome | None = None) -> Outcome:
    outcome = outcome or Outcome()
    records = _Records(dialect, outcome)
    body: list[bytes] = []
    try:
        outcome.status, outcome.headers = await conversation.head()
        async for data in conversation.pieces(outcome.headers):
            body.append(data)
            if stream and outcome.status == 200:
                records.feed(data, time.monotonic_ns())
        outcome.clean_end = True
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    outcome.ended_at = time.monotonic_ns()
    outcome.body = b"".join(body)
    if not (stream and outcome.status == 200) and outcome.clean_end:
        _read_document(dialect, outcome)
    return outcome


def _read_document(dialect: Dialect, outcome: Outcome) -> None:
    if outcome.status != 200:
        outcome.error = outcome.body.decode(errors="replace")
        return
    document = json.loads(outcome.body)
    outcome.text = dialect.whole(document)
    outcome.terminal = document.get("done", True) is True
    outcome.first_content_at = outcome.ended_at


async def ask(port: int, prompt: str, dialect: Dialect = GENERATE, stream: bool = True,
              outcome: Outcome | None = None, fields: tuple[str, ...] = (),
              **more: Any) -> Outcome:
    """One request on a connection of its own. `outcome` is filled while the answer comes."""
    outcome = outcome or Outcome()
    conversation = await Conversation.open(port)
    try:
        outcome.sent_at = time.monotonic_ns()
        body = question(dialect, prompt, stream, **more)
        await conversation.send(request_bytes(port, "POST", dialect.path, body, fields))
        return await read_answer(conversation, dialect, stream, outcome)
    finally:
        await conversation.close()


def ask_now(port: int, prompt: str, dialect: Dialect = GENERATE, stream: bool = True,
            **more: Any) -> Outcome:
    return asyncio.run(ask(port, prompt, dialect, stream, **more))


async def until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """wait_until for code that shares its thread with the clients."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.001)

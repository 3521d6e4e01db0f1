"""An instance whose answers to inference are exact bytes: what a good server never sends.

It answers /, /api/version, /api/tags and /api/ps as Ollama does, so that it counts as healthy, and
keeps every request as it arrived. What it does with the rest is up to the test.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fleet import CHAT_MODEL

DIGEST = "a" * 64
_ENTRY = {"name": CHAT_MODEL, "model": CHAT_MODEL, "modified_at": "2026-01-01T00:00:00Z",
          "size": 1000, "digest": DIGEST,
          "details": {"format": "gguf", "family": "llama", "families": ["llama"],
                      "parameter_size": "1B", "quantization_level": "Q4_0"}}


@dataclass
class Received:
    """One request as it came over the wire."""

    head: bytes
    body: bytes
    method: str = ""
    path: str = ""
    fields: dict[str, str] = field(default_factory=dict)


Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes | str, status: str = "200 OK", fields: str = "",
          content_type: str = "application/json") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    return (f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(data)}\r\n{fields}\r\n").encode() + data


def document(text: str, done: bool = True) -> str:
    return json.dumps({"model": CHAT_MODEL, "created_at": "2026-01-01T00:00:00Z",
                       "response": text, "done": done, "done_reason": "stop" if done else ""})


def sends(data: bytes, then: str = "keep") -> Script:
    """A script that answers `data`, then keeps, closes or resets the connection."""

    async def script(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then == "close":
            writer.close()
        elif then == "reset":
            reset(writer)

    return script


def reset(writer: asyncio.StreamWriter) -> None:
    """The peer sees RST, not FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class ScriptedInstance:
    """Runs on a thread of its own; a context manager."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.residency_hangs = False
        self.received: list[Received] = []  # inference only
        self._connections: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the scripted instance never listened")
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ScriptedInstance:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def write_to_all(self, data: bytes) -> None:
        """Bytes that nobody asked for, on every open connection; they are sent on return."""

        async def write() -> None:
            for writer in self._connections:
                writer.write(data)
                await writer.drain()

        asyncio.run_coroutine_threadsafe(write(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for writer in self._connections:
            writer.transport.abort()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while not writer.is_closing():
                request = await _read_request(reader)
                await self._answer(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        known = {"/": "Ollama is running", "/api/version": '{"version":"0.32.15"}',
                 "/api/tags": json.dumps({"models": [_ENTRY]}),
                 "/api/ps": json.dumps({"models": []})}
        if request.path == "/api/ps" and self.residency_hangs:
            await asyncio.Event().wait()
        if request.path in known:
            writer.write(whole(known[request.path] if request.method == "GET" else ""))
            await writer.drain()
            return
        self.received.append(request)
        await self.script(request, writer)


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    request = Received(head, b"", method, path)
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            request.fields[name.lower()] = value.strip()
    if request.fields.get("transfer-encoding") == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            request.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        request.body = await reader.readexactly(int(request.fields.get("content-length", "0")))
    return request

"""Memory stays flat: large bodies wait in a file, slow readers slow the instance."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from asking import GENERATE, Conversation, Outcome, ask, question, read_answer, request_bytes, until
from fleet import CHAT_MODEL, Drover, Fleet
from scripted import Received, ScriptedInstance
from speeds import FAST

MB = 1_000_000
BODY_LIMIT = 100 * MB
# What one large upload may cost in memory: buffers of both sockets, never the body.
UPLOAD_BYTES = 8 * MB
SLOW_READER_BYTES = 4 * MB


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    # The simplest policy: no loads of drover's own among the requests that are counted.
    with Fleet(2, policy="least_loaded", **FAST) as fleet:
        # The first requests make what stays: pools, buffers, code pages.
        for _ in range(4):
            assert asyncio.run(ask(fleet.drover.port, "echo:warm")).complete
        yield fleet


class Peak:
    """Follows the resident memory of drover while something happens."""

    def __init__(self, drover: Drover) -> None:
        self._drover = drover
        self.start = self.most = drover.resident_bytes()

    async def follow(self, work: asyncio.Future[Outcome]) -> Outcome:
        while not work.done():
            self.look()
            await asyncio.wait([work], timeout=0.01)
        self.look()
        return work.result()

    def look(self) -> None:
        self.most = max(self.most, self._drover.resident_bytes())

    @property
    def growth(self) -> int:
        return self.most - self.start


async def upload(port: int, size: int) -> Outcome:
    """A question with an image that makes the whole body exactly `size` bytes."""
    frame = question(GENERATE, "echo:seen", stream=False, images=[""])
    before, after = frame.split(b'"images": [""')
    opening, closing = before + b'"images": ["', b'"' + after
    image_size = size - len(opening) - len(closing)
    conversation = await Conversation.open(port)
    head = request_bytes(port, "POST", "/api/generate").replace(
        b"Content-Length: 0", f"Content-Length: {size}".encode())
    piece = b"QUJD" * 65536
    pieces = [piece] * (image_size // len(piece)) + [piece[:image_size % len(piece)]]
    try:
        return await send_and_listen(conversation, [head + opening, *pieces, closing])
    finally:
        await conversation.close()


async def send_and_listen(conversation: Conversation, pieces: list[bytes]) -> Outcome:
    """Sends until the answer is there, which may be before everything is sent."""
    answer = asyncio.create_task(read_answer(conversation, GENERATE, False))
    for piece in pieces:
        if answer.done():
            break
        with contextlib.suppress(ConnectionError):
            await conversation.send(piece)
    return await answer


def test_a_body_of_90_mb_is_kept_in_a_file(fleet: Fleet) -> None:
    async def scenario() -> Peak:
        peak = Peak(fleet.drover)
        outcome = await peak.follow(asyncio.ensure_future(upload(fleet.drover.port, 90 * MB)))
        assert outcome.complete and outcome.text.strip() == "seen"
        return peak

    assert asyncio.run(scenario()).growth < UPLOAD_BYTES


def test_a_body_of_exactly_the_limit_passes(fleet: Fleet) -> None:
    assert asyncio.run(upload(fleet.drover.port, BODY_LIMIT)).complete


def test_a_body_one_byte_over_the_limit_is_413(fleet: Fleet) -> None:
    outcome = asyncio.run(upload(fleet.drover.port, BODY_LIMIT + 1))
    assert outcome.status == 413
    assert json.loads(outcome.body)["error"]
    assert fleet.total("requests") == 4


def test_a_chunked_body_over_the_limit_is_413(fleet: Fleet) -> None:
    async def scenario() -> Outcome:
        conversation = await Conversation.open(fleet.drover.port)
        head = request_bytes(fleet.drover.port, "POST", "/api/generate").replace(
            b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            return await send_and_listen(conversation, [head, *[chunk] * 100])
        finally:
            await conversation.close()

    assert asyncio.run(scenario()).status == 413


def test_a_client_that_does_not_read_slows_the_instance() -> None:
    sent = 0

    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        line = json.dumps({"model": CHAT_MODEL, "created_at": "2026-01-01T00:00:00Z",
                           "response": "x" * 900, "done": False}).encode() + b"\n"
        block = line * 64
        chunk = f"{len(block):x}\r\n".encode() + block + b"\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)

    async def scenario(drover: Drover) -> Peak:
        conversation = await Conversation.open(drover.port)
        conversation.writer.transport.pause_reading()  # type: ignore[attr-defined]
        body = question(GENERATE, "pour")
        peak = Peak(drover)
        await conversation.send(request_bytes(drover.port, "POST", "/api/generate", body))
        await until(lambda: sent > 0, "the instance pours")
        # Back-pressure holds when nothing moves any more although the instance never stops.
        still_since, seen = time.monotonic(), sent
        deadline = time.monotonic() + 20
        while time.monotonic() - still_since < 0.5:
            assert time.monotonic() < deadline, f"still taking after {sent} bytes"
            if sent != seen:
                still_since, seen = time.monotonic(), sent
            peak.look()
            await asyncio.sleep(0.01)
        conversation.leave()
        return peak

    with ScriptedInstance(flood) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            peak = asyncio.run(scenario(drover))
        finally:
            drover.stop()
    assert peak.growth < SLOW_READER_BYTES
    # Kernel buffers on both sides hold some; an unbounded relay would have taken gigabytes.
    assert sent < 64 * MB

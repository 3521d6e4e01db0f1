"""drover itself is short of something: requests are told to come back, and no instance is blamed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time

from asking import GENERATE, Conversation, ask_now, question, read_answer, request_bytes
from fleet import Fleet, wait_until
from speeds import FAST

CHECKS = """
timeouts:
  check_interval: 100ms
  check_timeout: 300ms
"""
MB = 1_000_000


def limit(fleet: Fleet, what: int, most: int) -> None:
    """As `ulimit` before the start would have it, hard limit and all."""
    resource.prlimit(fleet.drover.gateway_pid(), what, (most, most))


def open_files(fleet: Fleet) -> int:
    return len(os.listdir(f"/proc/{fleet.drover.gateway_pid()}/fd"))


async def fill_the_table(fleet: Fleet, most: int) -> list[Conversation]:
    """Connections that ask nothing, until drover has no descriptor left."""
    conversations = []
    while open_files(fleet) < most:
        assert len(conversations) < 2 * most, "the limit holds for another process"
        conversations.append(await Conversation.open(fleet.drover.port))
        await asyncio.sleep(0)
    return conversations


async def refusals(fleet: Fleet, conversation: Conversation, seconds: float) -> list[int]:
    """Asks again and again on one connection; the statuses."""
    statuses = []
    raw = request_bytes(fleet.drover.port, "POST", "/api/generate",
                        question(GENERATE, "echo:x", stream=False))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await conversation.send(raw)
        outcome = await read_answer(conversation, GENERATE, False)
        statuses.append(outcome.status)
        assert outcome.status != 503 or int(outcome.headers["retry-after"]) >= 1
    return statuses


def descriptors_of_threads(fleet: Fleet) -> list[int]:
    """How many each thread of the gateway has, in ascending order."""
    tasks = f"/proc/{fleet.drover.gateway_pid()}/task"
    return sorted(len(os.listdir(f"{tasks}/{task}/fd")) for task in os.listdir(tasks))


def test_the_thread_that_writes_the_log_holds_no_socket() -> None:
    # It has a table of its own, of the standard streams: a listener left in it would be open when
    # the gateway has closed it, and clients would wait there for ever.
    with Fleet(1, config="loops: 1\n", **FAST) as fleet:
        wait_until(lambda: descriptors_of_threads(fleet)[0] <= 3, "the writer keeps three at most")
        assert descriptors_of_threads(fleet)[-1] > 3


def test_a_full_descriptor_table_puts_no_instance_out() -> None:
    async def scenario(fleet: Fleet) -> None:
        limit(fleet, resource.RLIMIT_NOFILE, 64)
        conversations = await fill_the_table(fleet, 64)
        # Checks come every 100 ms: many fall into this second, and none may count as a miss. One
        # that gives its descriptor back in between may let a request through.
        statuses = await refusals(fleet, conversations[0], 1.0)
        assert statuses.count(503) >= 3 and set(statuses) <= {200, 503}, statuses
        for conversation in conversations:
            conversation.leave()

    with Fleet(2, config=CHECKS, **FAST) as fleet:
        asyncio.run(scenario(fleet))
        wait_until(lambda: open_files(fleet) < 40, "the clients have left")
        assert fleet.drover.metric("drover_backend_up") == 2
        assert not fleet.drover.metric("drover_backend_failed_total")
        assert not any('"to":"down"' in line for line in fleet.drover.lines())
        assert ask_now(fleet.drover.port, "echo:again").complete


def test_a_file_that_may_not_grow_refuses_the_body_and_not_the_process() -> None:
    async def upload(port: int, size: int) -> int:
        conversation = await Conversation.open(port)
        body = question(GENERATE, "x" * size, stream=False)
        answer = asyncio.create_task(read_answer(conversation, GENERATE, False))
        with contextlib.suppress(ConnectionError):
            await conversation.send(request_bytes(port, "POST", "/api/generate", body))
        return (await answer).status

    with Fleet(1, **FAST) as fleet:
        limit(fleet, resource.RLIMIT_FSIZE, 2 * MB)
        # More than fits into limits.body_memory, so that it needs the file.
        assert asyncio.run(upload(fleet.drover.port, 80 * MB)) == 503
        assert fleet.drover.running()
        assert ask_now(fleet.drover.port, "echo:again").complete

"""SIGTERM lets running answers end; a second one does not."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from asking import Conversation, Outcome, ask, question, request_bytes, until, words, GENERATE
from fleet import Fleet
from speeds import STEADY


async def started(fleet: Fleet, outcome: Outcome, prompt: str) -> asyncio.Task[Outcome]:
    task = asyncio.create_task(ask(fleet.drover.port, prompt, outcome=outcome))
    await until(lambda: outcome.pieces >= 2, "the answer has begun")
    return task


async def refused(port: int) -> bool:
    """Nobody new is served: no connection, or a 503."""
    try:
        return (await ask(port, "echo:late")).status == 503
    except (ConnectionError, TimeoutError):
        return True


async def nobody_new(fleet: Fleet) -> None:
    deadline = time.monotonic() + 5
    while not await refused(fleet.drover.port):
        assert time.monotonic() < deadline, "new requests are still served"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_lets_running_streams_finish(number: signal.Signals) -> None:
    async def scenario(fleet: Fleet) -> None:
        prompt = words("slow", 150)
        task = await started(fleet, Outcome(), f"echo:{prompt}")
        fleet.drover.signal(number)
        await nobody_new(fleet)
        assert not task.done(), "the answer was too short to show a drain"
        outcome = await task
        assert outcome.complete and outcome.text.strip() == prompt

    with Fleet(2, **STEADY) as fleet:
        asyncio.run(scenario(fleet))
        assert fleet.drover.wait_exit() == 0


def test_a_drain_ends_at_once_when_nothing_runs() -> None:
    with Fleet(1, **STEADY) as fleet:
        fleet.drover.signal(signal.SIGTERM)
        assert fleet.drover.wait_exit() == 0


def test_idle_connections_do_not_hold_up_a_drain() -> None:
    async def scenario(fleet: Fleet) -> None:
        idle = await Conversation.open(fleet.drover.port)
        body = question(GENERATE, "echo:one", stream=False)
        await idle.send(request_bytes(fleet.drover.port, "POST", "/api/generate", body))
        _, headers = await idle.head()
        async for _ in idle.pieces(headers):
            pass
        fleet.drover.signal(signal.SIGTERM)
        assert await idle.reader.read() == b""
        await idle.close()

    with Fleet(1, **STEADY) as fleet:
        asyncio.run(scenario(fleet))
        assert fleet.drover.wait_exit() == 0


def test_requests_that_the_kernel_holds_when_a_drain_begins_are_answered() -> None:
    """On connections that drover has not accepted, and on kept ones that it has not read."""

    async def exchange(conversation: Conversation) -> int:
        status, headers = await conversation.head()
        async for _ in conversation.pieces(headers):
            pass
        return status

    async def scenario(fleet: Fleet) -> None:
        raw = request_bytes(fleet.drover.port, "GET", "/api/version")
        # Far more than one turn of drover's loop hears of, so that most are news to it.
        kept = [await Conversation.open(fleet.drover.port) for _ in range(400)]
        for conversation in kept:
            await conversation.send(raw)
            assert await exchange(conversation) == 200
        fleet.drover.signal(signal.SIGSTOP)
        new = [await Conversation.open(fleet.drover.port) for _ in range(300)]
        for conversation in [*kept, *new]:
            await conversation.send(raw)
        fleet.drover.signal(signal.SIGTERM)
        fleet.drover.signal(signal.SIGCONT)
        answers = await asyncio.gather(*map(exchange, [*kept, *new]), return_exceptions=True)
        lost = [answer for answer in answers if answer != 200]
        assert not lost, f"{len(lost)} of {len(answers)}: {lost[:3]}"

    with Fleet(1, **STEADY) as fleet:
        asyncio.run(scenario(fleet))
        assert fleet.drover.wait_exit() == 0


def test_a_second_signal_ends_now() -> None:
    async def scenario(fleet: Fleet) -> None:
        outcome = Outcome()
        task = await started(fleet, outcome, "go on for ever")
        fleet.drover.signal(signal.SIGTERM)
        await nobody_new(fleet)
        assert fleet.drover.running()
        fleet.drover.signal(signal.SIGTERM)
        await task
        assert not outcome.complete

    with Fleet(1, **{**STEADY, "tokens": 100_000}) as fleet:
        asyncio.run(scenario(fleet))
        fleet.drover.wait_exit()


def test_an_instance_loses_its_request_when_drover_is_killed() -> None:
    async def scenario(fleet: Fleet) -> None:
        outcome = Outcome()
        task = await started(fleet, outcome, "go on for ever")
        fleet.drover.kill()
        await task
        assert not outcome.complete
        await until(lambda: fleet.fakes[0].state()["cancelled"] == 1, "the instance is free")

    with Fleet(1, **{**STEADY, "tokens": 100_000}) as fleet:
        asyncio.run(scenario(fleet))

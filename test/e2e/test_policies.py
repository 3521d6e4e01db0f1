"""Where requests go."""

from __future__ import annotations

import asyncio

import pytest

from asking import Outcome, ask, until, words
from fleet import Fleet
from speeds import FAST

REQUESTS = 900
AT_ONCE = 30


async def ask_many(port: int, total: int, at_once: int) -> None:
    numbers = iter(range(total))

    async def worker() -> None:
        for number in numbers:
            prompt = words(f"r{number}", 2)
            outcome = await ask(port, f"echo:{prompt}", stream=number % 2 == 0)
            assert outcome.complete, outcome
            assert outcome.text.strip() == prompt

    await asyncio.gather(*(worker() for _ in range(at_once)))


def test_round_robin_gives_every_instance_its_exact_share() -> None:
    with Fleet(3, policy="round_robin", **FAST) as fleet:
        asyncio.run(ask_many(fleet.drover.port, REQUESTS, AT_ONCE))
        counts = [fake.state()["requests"] for fake in fleet.fakes]
    assert sum(counts) == REQUESTS
    assert counts == pytest.approx([REQUESTS / 3] * 3, abs=1)


def test_least_loaded_spreads_what_is_under_way() -> None:
    with Fleet(3, policy="least_loaded", **FAST) as fleet:
        asyncio.run(ask_many(fleet.drover.port, REQUESTS // 3, AT_ONCE))
        counts = [fake.state()["requests"] for fake in fleet.fakes]
    assert sum(counts) == REQUESTS // 3
    assert min(counts) > 0


def test_least_loaded_avoids_an_instance_that_is_busy() -> None:
    async def scenario(fleet: Fleet) -> None:
        # One endless answer occupies one of the two; everything after it goes to the other.
        begun = Outcome()
        endless = asyncio.create_task(ask(fleet.drover.port, "go on", outcome=begun,
                                          options={"num_predict": 1_000_000}))
        await until(lambda: begun.pieces > 0, "the long answer has begun")
        busy = fleet.working()
        for number in range(20):
            assert (await ask(fleet.drover.port, f"echo:{number}")).complete
        # Now and then the next request overtakes the news that the last one ended.
        assert busy.state()["requests"] <= 1 + 2
        endless.cancel()
        await asyncio.gather(endless, return_exceptions=True)

    # With several loops the end of an answer may reach the ledger a moment after it reached the
    # client, and a request that comes in that moment sees two instances at work.
    with Fleet(2, policy="least_loaded", config="loops: 1\n", **FAST) as fleet:
        asyncio.run(scenario(fleet))

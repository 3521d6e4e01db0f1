"""Who goes first, and who is told in time that it would be too late: the whole way, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from asking import Outcome, ask, ask_now, until
from fleet import Drover, Fake, wait_until

WORDS = " ".join(["word"] * 10)
TOKEN_MS = 20  # an answer takes a fifth of a second


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    fake = Fake("sim0", token_ms=TOKEN_MS, load_ms=1000, parallel=1)
    try:
        yield fake
    finally:
        fake.stop()


@pytest.fixture(scope="module")
def drover(fake: Fake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drover]:
    config = tmp_path_factory.mktemp("priorities") / "drover.yaml"
    config.write_text(f"backends: [{{url: {fake.url}, parallel: 1}}]\n")
    drover = Drover(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                     "--config", str(config)])
    try:
        drover.wait_ready()
        wait_until(lambda: drover.metric("drover_backend_up") == 1, "the instance is up")
        yield drover
    finally:
        drover.stop()


def waiting(drover: Drover) -> dict[str, int]:
    queue = drover.status()["queue"]
    return {name: int(count) for name, count in queue["priorities"].items()}


def test_the_important_overtakes_what_waits(drover: Drover) -> None:
    order: list[str] = []

    async def one(name: str, *fields: str) -> None:
        outcome = await ask(drover.port, f"echo:{WORDS} {name}", fields=fields)
        assert outcome.complete, outcome.error
        order.append(name)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(one(f"batch{number}", "X-Drover-Priority: batch"))
            # The first one runs, or has its model loaded.
            await until(lambda: waiting(drover)["batch"] >= 3, "three wait")
            group.create_task(one("person", "X-Drover-Priority: interactive"))

    asyncio.run(all_of_them())
    assert order.index("person") <= 1, order
    assert drover.metric("drover_queue_requests", priority="batch") == 0


def in_flight(drover: Drover) -> int:
    return int(drover.status()["instances"][0]["in_flight"])


def test_who_would_be_too_late_is_told_at_once(drover: Drover) -> None:
    async def long_and_short() -> tuple[Outcome, Outcome]:
        await until(lambda: in_flight(drover) == 0, "nobody else is there")
        long = asyncio.create_task(ask(drover.port, "echo:" + " ".join(["word"] * 50)))
        await until(lambda: in_flight(drover) == 1, "it runs")
        short = await ask(drover.port, "echo:no", fields=("X-Drover-Deadline: 0.05",))
        return await long, short

    long, short = asyncio.run(long_and_short())
    assert long.complete
    assert short.status == 503, "the one slot is told, and taken"
    assert "X-Drover-Deadline" in short.error
    assert int(short.headers["retry-after"]) >= 1
    assert short.ended_at < long.ended_at


def test_what_the_instance_does_not_begin_in_time_is_called_off(fake: Fake,
                                                                drover: Drover) -> None:
    assert ask_now(drover.port, "echo:warm up").complete
    fake.fault("hang", match="/api/generate")
    late = ask_now(drover.port, "echo:no", fields=("X-Drover-Deadline: 0.3",))
    fake.clear_faults()
    assert late.status == 504
    assert "X-Drover-Deadline" in late.error
    assert drover.status()["instances"][0]["health"] == "up"


@pytest.mark.parametrize("field", ["X-Drover-Priority: urgent", "X-Drover-Deadline: soon"])
def test_what_nobody_understands_is_refused(drover: Drover, field: str) -> None:
    refused = ask_now(drover.port, "echo:no", fields=(field,))
    assert refused.status == 400
    assert field.split(":")[0] in refused.error

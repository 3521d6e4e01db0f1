"""Two Ollama instances on 11434 and 11435 and one drover beside them, from the file that ships."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from asking import ask, words
from fleet import ROOT, Drover, Fake
from speeds import FAST

PORTS = (11434, 11435)
CONFIG = ROOT / "config" / "two-instances.yaml"


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def two_ollamas() -> Iterator[list[Fake]]:
    if busy := [port for port in PORTS if taken(port)]:
        excuse = f"something else listens on {busy}: this test needs those very ports"
        # On somebody's desk that is their Ollama; where tests are run for a merge it is a mistake.
        if os.environ.get("CI"):
            pytest.fail(excuse)
        pytest.skip(excuse)
    fakes: list[Fake] = []
    try:
        for port in PORTS:
            fakes.append(Fake(f"on-{port}", port, **{**FAST, "parallel": 1}))
        yield fakes
    finally:
        for fake in fakes:
            fake.stop()


def test_one_file_puts_drover_in_front_of_two_ollamas(two_ollamas: list[Fake]) -> None:
    drover = Drover(["--config", str(CONFIG)])
    try:
        assert drover.port not in PORTS
        drover.wait_ready()
        asyncio.run(both_work_at_once(drover, two_ollamas))
    finally:
        drover.stop()


async def both_work_at_once(drover: Drover, fakes: list[Fake]) -> None:
    prompts = [words(f"r{number}", 40) for number in range(4)]
    answers = asyncio.gather(*(ask(drover.port, f"echo:{prompt}") for prompt in prompts))
    while not all(fake.state()["running"] for fake in fakes):
        assert not answers.done(), "the two instances never worked at the same time"
        await asyncio.sleep(0)
    for prompt, outcome in zip(prompts, await answers):
        assert outcome.complete and outcome.text.strip() == prompt

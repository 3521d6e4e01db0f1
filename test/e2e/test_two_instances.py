"""Two Ollama instances on 11434 and 11435 and one drover beside them, from the file that ships."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from asking import ask, words
from fleet import ROOT, Child, Drover, Fake, binary
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
    drover = Drover(["--config", str(CONFIG), "--policy", "least_loaded"])
    try:
        assert drover.port not in PORTS
        drover.wait_ready()
        asyncio.run(both_work_at_once(drover, two_ollamas))
    finally:
        drover.stop()


def test_an_address_that_was_asked_for_is_not_moved(two_ollamas: list[Fake],
                                                    tmp_path: Path) -> None:
    nothing = tmp_path / "drover.yaml"
    nothing.write_text("{}\n")
    child = Child([str(binary("drover")), "serve", "--config", str(nothing),
                   "--listen", f"127.0.0.1:{PORTS[0]}", "--admin", "127.0.0.1:0"])
    try:
        assert child.wait_exit() == 1
        assert "already in use" in child.output() and "--listen" in child.output()
    finally:
        child.stop()


async def both_work_at_once(drover: Drover, fakes: list[Fake]) -> None:
    prompts = [words(f"r{number}", 40) for number in range(4)]
    answers = asyncio.gather(*(ask(drover.port, f"echo:{prompt}") for prompt in prompts))
    while not all(fake.state()["running"] for fake in fakes):
        assert not answers.done(), "the two instances never worked at the same time"
        await asyncio.sleep(0)
    for prompt, outcome in zip(prompts, await answers):
        assert outcome.complete and outcome.text.strip() == prompt

"""What drover has learned outlives it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from asking import ask
from fleet import Drover, Fake, wait_until

MODEL = "llama3.2:latest"
# A fast and a slow instance: told apart by experience alone.
SPEEDS = (1, 40)  # milliseconds for each token
LESSONS = 12


def serve(fakes: list[Fake], state: Path) -> Drover:
    return Drover.in_front_of([fake.url for fake in fakes], "expected_completion",
                              f"state_dir: {state}\n")


def requests(fakes: list[Fake]) -> list[int]:
    return [int(fake.state()["requests"]) for fake in fakes]


def teach(drover: Drover, count: int) -> None:
    async def lessons() -> None:
        for number in range(count):
            pair = await asyncio.gather(ask(drover.port, f"echo:{'word ' * 30}{number} a"),
                                        ask(drover.port, f"echo:{'word ' * 30}{number} b"))
            assert all(each.complete for each in pair)

    asyncio.run(lessons())


def end(drover: Drover) -> str:
    drover.signal(signal.SIGTERM)
    assert drover.wait_exit() == 0
    return drover.output()


@pytest.fixture
def fakes():
    both = [Fake(f"sim{number}", token_ms=speed, load_ms=10, parallel=2)
            for number, speed in enumerate(SPEEDS)]
    try:
        yield both
    finally:
        for fake in both:
            fake.stop()


def test_after_a_restart_the_first_requests_go_where_they_are_fastest(
        fakes: list[Fake], tmp_path: Path) -> None:
    drover = serve(fakes, tmp_path)
    try:
        teach(drover, LESSONS)
        assert "learned before" not in end(drover)
        assert (tmp_path / "store" / "learned").stat().st_size > 0
        drover.stop()
        drover = serve(fakes, tmp_path)
        wait_until(lambda: "learned before" in drover.output(), "it says what it knows")
        before = requests(fakes)

        async def one_by_one() -> None:
            for number in range(6):
                assert (await ask(drover.port, f"echo:again {number}")).complete

        asyncio.run(one_by_one())
        # The other ones are loads that drover orders, if any.
        fast, slow = (now - then for now, then in zip(requests(fakes), before, strict=True))
        assert fast >= 6
        assert slow <= 1
    finally:
        drover.stop()


@pytest.mark.parametrize("damage", ["cut", "foreign", "older"])
def test_what_cannot_be_read_is_named_set_aside_and_learned_anew(
        fakes: list[Fake], tmp_path: Path, damage: str) -> None:
    drover = serve(fakes, tmp_path)
    try:
        teach(drover, 2)
        end(drover)
        drover.stop()
        page = tmp_path / "store" / "learned"
        whole = page.read_bytes()
        page.write_bytes({"cut": whole[:-9], "foreign": b"a shopping list\n",
                          "older": whole.replace(b"learned 1 ", b"learned 0 ", 1)}[damage])
        drover = serve(fakes, tmp_path)
        line = drover.wait_line("what was learned cannot be read")
        assert str(page) in line.string
        assert (tmp_path / "store" / "learned.aside").exists()
        teach(drover, 2)
        end(drover)
        assert page.read_bytes().startswith(b"drover learned 1 ")
    finally:
        drover.stop()


def test_a_folder_that_cannot_be_made_is_said_and_harmless(
        fakes: list[Fake], tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    drover = serve(fakes, tmp_path)
    try:
        drover.wait_line("nothing outlives a restart")
        teach(drover, 1)
        end(drover)
    finally:
        drover.stop()


def test_a_second_drover_keeps_its_hands_off(fakes: list[Fake], tmp_path: Path) -> None:
    first = serve(fakes, tmp_path)
    try:
        second = serve(fakes, tmp_path)
        try:
            second.wait_line("is in use by another drover")
            end(second)
        finally:
            second.stop()
        teach(first, 1)
        end(first)
        assert (tmp_path / "store" / "learned").exists()
    finally:
        first.stop()

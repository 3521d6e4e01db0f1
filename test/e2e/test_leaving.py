"""A client that leaves frees the instance at once, whatever the instance was doing for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from asking import GENERATE, Conversation, Outcome, ask, question, request_bytes, until
from measuring import Report
from fleet import CHAT_MODEL, Fake, Fleet, http
from speeds import FAST, SLOW_LOAD, SLOW_PREFILL

CANCEL_MS = 10.0
LOOSE_MS = 100.0  # a few of many on a shared machine, three processes on two cores, sanitizers


@dataclass(frozen=True)
class Phase:
    """What the instance is busy with when the client leaves."""

    name: str  # as the simulated instance calls it
    options: dict[str, Any]
    begun: Callable[[dict[str, Any]], bool]  # of /fake/state
    preloaded: bool = True
    occupied: bool = False  # somebody else holds the only slot
    prompt: str = "go on"


PHASES = (
    Phase("generating", FAST, lambda state: state["running"] == 1),
    Phase("waiting", {**FAST, "parallel": 1}, lambda state: state["waiting"] == 1, occupied=True),
    Phase("loading", {**FAST, **SLOW_LOAD}, lambda state: state["waiting"] == 1, preloaded=False),
    Phase("prefill", {**FAST, **SLOW_PREFILL}, lambda state: state["running"] == 1,
          prompt="long " * 2000),
)


def load(fake: Fake) -> None:
    assert http(f"{fake.url}/api/generate", "POST", {"model": CHAT_MODEL})[0] == 200


async def leave_once(fleet: Fleet, phase: Phase, stream: bool) -> float:
    """Asks, waits until the phase is reached, leaves; ms until the instance noticed."""
    fake = fleet.fakes[0]
    known = fake.state()["cancelled"]
    conversation = await Conversation.open(fleet.drover.port)
    body = question(GENERATE, phase.prompt, stream, options={"num_predict": 1_000_000})
    await conversation.send(request_bytes(fleet.drover.port, "POST", "/api/generate", body))
    await until(lambda: phase.begun(fake.state()), f"the instance is {phase.name}")
    if phase.name == "generating" and stream:
        await conversation.head()
    left_at = time.time_ns()
    conversation.leave()
    await until(lambda: fake.state()["cancelled"] > known, "the instance saw the client leave")
    last = fake.state()["cancels"][-1]
    assert last["phase"] == phase.name
    return (int(last["unix_ns"]) - left_at) / 1e6


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
def test_a_client_that_leaves_frees_the_instance(report: Report, full: bool, phase: Phase,
                                                 stream: bool) -> None:
    times = 200 if full else 20

    async def scenario(fleet: Fleet) -> list[float]:
        other = Outcome()
        task = None
        if phase.occupied:
            task = asyncio.create_task(ask(fleet.drover.port, "stay", outcome=other,
                                           options={"num_predict": 1_000_000}))
            await until(lambda: other.pieces > 0, "the slot is taken")
        delays = [await leave_once(fleet, phase, stream) for _ in range(times)]
        if task:
            assert not task.done(), "leaving hurt somebody else"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return delays

    # Requests shall wait in the instance, where there is something to leave.
    with Fleet(1, policy="least_loaded", **phase.options) as fleet:
        if phase.preloaded:
            load(fleet.fakes[0])
        delays = asyncio.run(scenario(fleet))
        failures = fleet.drover.metric("drover_backend_failed_total")
        gone = fleet.drover.metric("drover_request_outcomes_total", outcome="client_gone")
    spread = report(f"client leaves while {phase.name}"
                    f" ({'stream' if stream else 'document'}): until the instance knows", delays)
    assert gone >= times
    assert not failures, "leaving was counted as the instance's failure"
    assert spread.p50 <= CANCEL_MS
    assert spread.p99 <= (CANCEL_MS if full else LOOSE_MS)


def test_a_hundred_that_leave_at_once_leave_nothing_behind() -> None:
    async def scenario(fleet: Fleet) -> None:
        conversations = [await Conversation.open(fleet.drover.port) for _ in range(100)]
        body = question(GENERATE, "go on", options={"num_predict": 1_000_000})
        raw = request_bytes(fleet.drover.port, "POST", "/api/generate", body)
        await asyncio.gather(*(conversation.send(raw) for conversation in conversations))
        await until(lambda: fleet.total("running") + fleet.total("waiting") == 100, "all arrived")
        for conversation in conversations:
            conversation.leave()
        await until(lambda: fleet.total("running") + fleet.total("waiting") == 0, "all are gone")
        assert fleet.total("cancelled") == 100

    with Fleet(2, policy="least_loaded", **FAST) as fleet:
        asyncio.run(scenario(fleet))

"""Every way in which an instance can fail, and what its clients see: as a rule, nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from asking import (
    ANTHROPIC, CHAT, DIALECTS, GENERATE, OPENAI, Dialect, Outcome, ask, ask_now, words)
from fleet import CHAT_MODEL, Drover, Fake, Fleet, wait_until
from scripted import Received, ScriptedInstance, document, sends, whole
from speeds import FAST

# Texts of both generations that another instance may do better on; ask for them by their names.
ERROR_TEXTS = ("runner_stopped", "load_failed", "load_gone", "load_timeout", "oom", "oom_startup",
               "no_slots", "llm_busy", "not_responding", "no_binary", "old_runner_terminated",
               "old_runner_gone", "old_load_timeout", "old_oom")
# Answers that are not HTTP, or not quite, before anything could be passed on.
BAD_HTTP = ("cl_te", "two_lengths", "status_line", "bad_chunk", "short_body", "huge_head",
            "many_fields", "endless_1xx", "101", "no_head", "half_head", "http09", "lf_only")
BREAKS = ("reset_mid", "error_mid", "cut", "cut_raw", "missing_done")
QUICK = """
timeouts:
  first_token: 1s
  document: 1s
  token_gap: 1s
  check_interval: 200ms
  check_timeout: 300ms
  residency_timeout: 300ms
"""
MANY = 1000


def quick_fleet(instances: int = 2, **more: Any) -> Fleet:
    return Fleet(instances, policy="round_robin", config=QUICK, **{**FAST, **more})


def each_served(fleet: Fleet, dialects: Sequence[Dialect] = DIALECTS, stream: bool = True,
                turns: int = 1) -> None:
    """Enough requests that round robin asks every instance at least once; none fails."""
    for turn in range(turns * len(fleet.fakes)):
        for dialect in dialects:
            prompt = words(f"t{turn}", 6)
            seen = ask_now(fleet.drover.port, f"echo:{prompt}", dialect, stream)
            assert seen.complete, seen
            assert seen.text.strip() == prompt


def in_dialect(dialect: Dialect, outcome: Outcome) -> str:
    """The text of an error answer, read the way the dialect's client reads it."""
    body = json.loads(outcome.body)
    if dialect.path.startswith("/api/"):
        assert isinstance(body["error"], str)
        return str(body["error"])
    assert body["error"]["type"]
    if dialect is ANTHROPIC:
        assert body["type"] == "error"
    return str(body["error"]["message"])


# --- before the first token: another instance, unseen ---


@pytest.mark.parametrize("variant", ERROR_TEXTS)
def test_an_error_text_before_the_first_token_is_retried_unseen(variant: str) -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault("error500", variant=variant)
        each_served(fleet)
        assert fleet.fakes[0].state()["faults_taken"] == 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "document"])
@pytest.mark.parametrize("kind", ["reset", "busy"])
def test_a_lost_answer_is_retried_unseen(kind: str, dialect: Dialect, stream: bool) -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault(kind)
        each_served(fleet, [dialect], stream)
        assert fleet.fakes[0].state()["faults_taken"] == 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_truncated_document_is_retried_unseen(dialect: Dialect) -> None:
    with quick_fleet() as fleet:
        for kind in ("missing_done", "cut", "cut_raw", "reset_mid"):
            fleet.fakes[0].fault(kind)
        # Failures that follow each other put an instance out, so the other three may stay unused.
        each_served(fleet, [dialect], stream=False, turns=2)
        assert fleet.fakes[0].state()["faults_taken"] >= 1


@pytest.mark.parametrize("kind", ["refuse", "crash"])
def test_an_instance_that_refuses_is_left_out_and_taken_back(kind: str) -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault(kind, ms=1000)
        each_served(fleet)
        wait_until(lambda: served_by(fleet, 0), "the instance is used again")


def served_by(fleet: Fleet, index: int) -> bool:
    """Asks once; did it go to this instance?"""
    try:
        before = fleet.fakes[index].state()["requests"]
    except OSError:
        before = None  # it refuses now; a request must be served all the same
    assert ask_now(fleet.drover.port, "echo:who").complete
    return before is not None and fleet.fakes[index].state()["requests"] > before


@pytest.mark.parametrize("variant", BAD_HTTP)
def test_an_answer_that_is_not_http_is_retried_unseen(variant: str) -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault("bad_http", variant=variant)
        each_served(fleet, [GENERATE, OPENAI])
        assert fleet.fakes[0].state()["faults_taken"] == 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_malformed_answers_everywhere_are_a_502_in_the_dialect(dialect: Dialect) -> None:
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault("bad_http", variant="cl_te", count=MANY)
        outcome = ask_now(fleet.drover.port, "echo:x", dialect)
        assert outcome.status == 502, outcome
        assert in_dialect(dialect, outcome)
        assert outcome.headers["x-should-retry"] == "false"


def test_a_model_that_one_store_lacks_is_served_by_the_other() -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault("error500", status=404, text=f"model '{CHAT_MODEL}' not found")
        each_served(fleet)
        assert fleet.fakes[0].state()["faults_taken"] == 1


def test_requests_go_where_the_model_is() -> None:
    rich = Fake("rich", **{**FAST, "models": f"{CHAT_MODEL},rare"})
    poor = Fake("poor", **FAST)
    drover = Drover.in_front_of([rich.url, poor.url], policy="round_robin")
    try:
        for _ in range(6):
            assert ask_now(drover.port, "echo:x", model="rare").complete
        assert (rich.state()["requests"], poor.state()["requests"]) == (6, 0)
        missing = ask_now(drover.port, "echo:x", model="nowhere")
        assert missing.status == 404 and "nowhere" in in_dialect(GENERATE, missing)
    finally:
        for child in (drover, rich, poor):
            child.stop()


# --- failures that no other instance can help ---


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_incompatible_model_is_passed_on_and_not_retried(dialect: Dialect) -> None:
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault("error500", variant="incompatible")
        outcome = ask_now(fleet.drover.port, "echo:x", dialect)
        assert outcome.status == 500
        assert "may be incompatible" in in_dialect(dialect, outcome)
        assert sum(fake.state()["faults_taken"] for fake in fleet.fakes) == 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_failure_everywhere_is_told_after_at_most_two_retries(dialect: Dialect) -> None:
    with quick_fleet(4) as fleet:
        for fake in fleet.fakes:
            fake.fault("error500", variant="runner_stopped", count=MANY)
        outcome = ask_now(fleet.drover.port, "echo:x", dialect)
        assert outcome.status in (500, 502), outcome
        assert in_dialect(dialect, outcome)
        assert outcome.headers["x-should-retry"] == "false"
        assert sum(fake.state()["faults_taken"] for fake in fleet.fakes) <= 3


def test_failures_everywhere_do_not_multiply_the_load() -> None:
    """As many instances as requests: each fails once, which puts none out, so that only the budget
    for retries stands between the fleet and two or three times the load."""
    requests = 16

    async def flood(port: int) -> None:
        outcomes = await asyncio.gather(*(ask(port, "echo:x") for _ in range(requests)))
        assert not any(outcome.complete for outcome in outcomes)

    # The few retries that are always allowed would be most of them here.
    config = QUICK + "retries:\n  budget_min: 0\n"
    with Fleet(requests, policy="round_robin", config=config, **FAST) as fleet:
        for fake in fleet.fakes:
            # Not the death of a runner: whose requests were lost with it may all go elsewhere once.
            fake.fault("error500", variant="oom", count=MANY, ms=300)
        asyncio.run(flood(fleet.drover.port))
        attempts = sum(fake.state()["faults_taken"] for fake in fleet.fakes)
    assert requests <= attempts <= requests * 1.2


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_busy_fleet_is_a_503_with_the_time_to_come_back(dialect: Dialect) -> None:
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault("busy", count=MANY)
        outcome = ask_now(fleet.drover.port, "echo:x", dialect)
        assert outcome.status == 503, outcome
        assert int(outcome.headers["retry-after"]) >= 1
        assert in_dialect(dialect, outcome)


def test_all_instances_dead_is_a_503_with_the_time_to_come_back() -> None:
    with quick_fleet() as fleet:
        fleet.kill(0)
        fleet.kill(1)
        for _ in range(2):  # found out by the request itself, then known
            for dialect in DIALECTS:
                outcome = ask_now(fleet.drover.port, "echo:x", dialect)
                assert outcome.status in (502, 503), outcome
                assert in_dialect(dialect, outcome)
        assert outcome.status == 503
        assert int(outcome.headers["retry-after"]) >= 1


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_no_first_token_in_time_is_a_504(dialect: Dialect) -> None:
    # It covers queue, load and prompt: whoever waited that long is not made to wait once more.
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault("hang")
        outcome = ask_now(fleet.drover.port, "echo:x", dialect)
        assert outcome.status == 504, outcome
        assert in_dialect(dialect, outcome)
        wait_until(lambda: fleet.total("cancelled") == 1, "the hung instance is left")


# --- after the first content: an error record, never a silent end ---


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_stream_ends_with_an_error_record(kind: str, dialect: Dialect) -> None:
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault(kind)
        prompt = words("broken", 8)
        seen = ask_now(fleet.drover.port, f"echo:{prompt}", dialect)
        assert seen.status == 200 and seen.error, seen
        assert not seen.terminal
        assert seen.pieces >= 3 and prompt.startswith(seen.text.strip())


def test_a_stream_that_falls_silent_ends_with_an_error_record() -> None:
    with quick_fleet() as fleet:
        for fake in fleet.fakes:
            fake.fault("hang_mid")
        seen = ask_now(fleet.drover.port, f"echo:{words('silent', 8)}", CHAT)
        assert seen.error and not seen.terminal and seen.pieces == 3
        wait_until(lambda: fleet.total("running") == 0, "the silent instance is left")


# --- instances that answer, but not usefully ---


def test_an_instance_whose_residency_hangs_is_left_out() -> None:
    with quick_fleet() as fleet:
        each_served(fleet)
        fleet.fakes[0].fault("wedge_ps")
        wait_until(lambda: not served_by(fleet, 0) and not served_by(fleet, 0),
                   "the wedged instance is out")
        before = fleet.fakes[0].state()["requests"]
        each_served(fleet)
        assert fleet.fakes[0].state()["requests"] == before
        fleet.fakes[0].clear_faults()
        wait_until(lambda: served_by(fleet, 0), "the instance is used again")


def test_a_stopped_process_loses_its_requests_to_the_others() -> None:
    async def scenario(fleet: Fleet) -> None:
        fleet.fakes[0].signal(signal.SIGSTOP)
        outcomes = await asyncio.gather(*(ask(fleet.drover.port, f"echo:x{n}")
                                          for n in range(8)))
        assert all(outcome.complete for outcome in outcomes)
        fleet.fakes[0].signal(signal.SIGCONT)

    with quick_fleet() as fleet:
        asyncio.run(scenario(fleet))
        wait_until(lambda: served_by(fleet, 0), "the instance is used again")


def test_a_page_instead_of_a_catalogue_stops_nobody() -> None:
    with quick_fleet() as fleet:
        fleet.fakes[0].fault("html", count=MANY)
        each_served(fleet, turns=2)


# --- bytes that nobody asked for ---


def test_extra_bytes_after_an_answer_never_reach_the_next_user() -> None:
    stolen = whole(document("stolen"))

    async def twice(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(document("yours")) + stolen)
        await writer.drain()

    with ScriptedInstance(twice) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            for _ in range(6):
                outcome = ask_now(drover.port, "x", stream=False)
                assert outcome.complete and outcome.text == "yours"
        finally:
            drover.stop()


def test_late_extra_bytes_never_reach_the_next_user() -> None:
    """They arrive while the connection idles in the pool."""
    with ScriptedInstance(sends(whole(document("yours")))) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            for _ in range(20):
                outcome = ask_now(drover.port, "x", stream=False)
                assert outcome.complete and outcome.text == "yours"
                instance.write_to_all(whole(document("stolen")))
        finally:
            drover.stop()


def test_a_stale_connection_is_replaced_unseen() -> None:
    """The instance closes after each answer although it promised to keep the connection."""
    with ScriptedInstance(sends(whole(document("yours")), then="close")) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            for _ in range(20):
                assert ask_now(drover.port, "x", stream=False).complete
        finally:
            drover.stop()


def test_informational_answers_are_not_the_answer() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with ScriptedInstance(sends(early + whole(document("yours")))) as instance:
        drover = Drover.in_front_of([instance.url])
        try:
            assert ask_now(drover.port, "x", stream=False).text == "yours"
        finally:
            drover.stop()

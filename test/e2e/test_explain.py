"""`drover explain` in front of a whole daemon: served, moved elsewhere, refused and unknown requests."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from fleet import CHAT_MODEL, Fleet, binary, wait_until


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    # Two loops: what the other one finished is remembered beside what home finished. In turn, so
    # that each instance gets its part.
    with Fleet(2, "round_robin", "loops: 2\n", token_ms=1, load_ms=10) as fleet:
        yield fleet


def explain(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary("drover")), "explain", *words, "--admin",
                           f"127.0.0.1:{fleet.drover.admin_port}"],
                          capture_output=True, text=True, timeout=60, check=False)


def found(fleet: Fleet, name: str, *words: str) -> str:
    """What is said of a request that is over; the client may know that a moment before home does."""
    def said() -> str:
        done = explain(fleet, name, *words)
        return done.stdout if done.returncode == 0 else ""

    return wait_until(said, f"{name} is remembered")


def ask(fleet: Fleet, model: str = CHAT_MODEL, name: str = "") -> tuple[int, str, str]:
    """On a connection of its own: (status, id, instance)."""
    body = json.dumps({"model": model, "prompt": "one two three", "stream": False}).encode()
    request = urllib.request.Request(f"{fleet.url}/api/generate", data=body)
    if name:
        request.add_header("X-Request-ID", name)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            answer.read()
            return answer.status, answer.headers["X-Request-ID"], answer.headers["X-Drover-Backend"]
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers["X-Request-ID"], ""


def test_every_loop_remembers_what_it_served(fleet: Fleet) -> None:
    for number in range(12):
        status, name, instance = ask(fleet, name=f"served-{number}")
        assert (status, name) == (200, f"served-{number}")
        story = found(fleet, name)
        assert re.match(rf"Request {name}, \d+s ago: /api/generate for {CHAT_MODEL}", story), story
        assert f"\nAnswered by {instance} with status 200\n" in story
        assert f"\n  round_robin chose {instance}\n" in story
        assert re.search(r"^  first token after +[\d.]+ m?s$", story, re.MULTILINE), story


def test_json_is_what_the_admin_side_says(fleet: Fleet) -> None:
    _, name, instance = ask(fleet)
    story = json.loads(found(fleet, name, "--json"))
    assert story["id"] == name and story["instance"] == instance
    assert story["status"] == 200 and story["outcome"] == "served"
    assert story["output_tokens"] > 0 and story["total_ms"] >= story["first_token_ms"] > 0


def test_one_that_was_moved_elsewhere_names_the_failure(fleet: Fleet) -> None:
    fleet.fakes[0].fault("error500", variant="runner_stopped")
    stories = []
    for _ in range(4):
        status, name, instance = ask(fleet)
        assert status == 200
        stories.append((found(fleet, name), instance))
    moved = [each for each in stories if "tried again" in each[0]]
    assert len(moved) == 1
    story, instance = moved[0]
    assert f"\nAnswered by {instance} with status 200\nA failure on the way: " in story
    assert re.search(r"^    \S+: failed this request$", story, re.MULTILINE), story


def test_a_refusal_is_told_in_its_own_words(fleet: Fleet) -> None:
    status, name, _ = ask(fleet, model="nosuch")
    assert status == 404
    assert "\nRefused with status 404: model 'nosuch' not found\n" in found(fleet, name)


@pytest.mark.parametrize(("name", "reason"), [
    ("nobody", "request nobody is not remembered: "),
    ("a b/../c\r\n", "no request has such an ID"),
])
def test_an_unknown_one_is_an_error_that_says_what_to_do(fleet: Fleet, name: str,
                                                         reason: str) -> None:
    said = explain(fleet, name)
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.startswith(f"drover: {reason}"), said.stderr


def test_wrong_use_has_its_own_exit_code(fleet: Fleet) -> None:
    assert explain(fleet).returncode == 2

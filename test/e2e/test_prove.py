"""`drover prove` on two simulated GPUs, with an Ollama that drover itself runs on each."""

from __future__ import annotations

import json
import os
import signal

import pytest

from fleet import CHAT_MODEL, Child, wait_until
from gpu_machine import TOKENS_A_SECOND, Machine


def test_two_gpus_give_nearly_twice_the_tokens_of_one(machine: Machine) -> None:
    proving = machine.prove("--seconds", "5", "--parallel", "4", "--json")
    status = proving.wait_exit(60)
    out = proving.output()
    assert status == 0, out
    proof = json.loads(out)
    assert proof["counts"] and proof["ratio"] >= 1.9, out
    assert proof["model"] == CHAT_MODEL and proof["instances"] == ["gpu0", "gpu1"]
    # One alone was saturated, so that twice as much can only come from the second.
    assert proof["one"]["tokens_per_second"] == pytest.approx(TOKENS_A_SECOND, rel=0.1), out
    shares = {one["name"]: one["tokens_per_second"] for one in proof["all"]["instances"]}
    assert set(shares) == {"gpu0", "gpu1"}
    assert all(share >= 0.9 * TOKENS_A_SECOND for share in shares.values()), out
    # While one worked the other was idle; then both were busy.
    assert [gpu["utilization"] > 0.7 for gpu in proof["one"]["gpus"]] == [True, False], out
    assert [gpu["utilization"] > 0.7 for gpu in proof["all"]["gpus"]] == [True, True], out
    assert 0 < proof["all"]["first_token_seconds"]["median"]
    assert any("SIMULATED" in note for note in proof["notes"])


def test_an_instance_that_dies_meanwhile_spoils_the_numbers(machine: Machine) -> None:
    proving = machine.prove("--seconds", "6", "--parallel", "2")
    try:
        proving.wait_line("^asking all 2 through drover", 60)
        victim = machine.status()["instances"][1]["process"]["pid"]
        assert victim > 1
        os.kill(victim, signal.SIGKILL)
        status = proving.wait_exit(60)
    finally:
        proving.stop()
    out = proving.output()
    assert status == 1, out
    assert "These numbers do not count: " in out and "gpu1" in out, out


def test_other_load_is_not_measured_over(machine: Machine) -> None:
    others = Child(
        ["curl", "-sN", f"{machine.drover.url}/api/generate", "-d",
         json.dumps({"model": CHAT_MODEL, "prompt": "on", "options": {"num_predict": 100000}})])
    try:
        wait_until(lambda: any(one["in_flight"] for one in machine.status()["instances"]),
                   "the other request is under way")
        proving = machine.prove()
        assert proving.wait_exit(30) == 1
    finally:
        others.stop()
    said = proving.output()
    assert "other requests are under way" in said and "when the fleet is idle" in said

"""drover is killed with -9 in the middle of a pull, and another one is started in its place."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from fleet import Drover, Fake, http, wait_until

TOKEN_MS = 300  # between two pieces of a layer
MODEL = "new:latest"


@pytest.fixture
def fakes() -> Iterator[list[Fake]]:
    some = [Fake(f"sim{index}", token_ms=TOKEN_MS) for index in range(3)]
    yield some
    for fake in some:
        fake.stop()


def drover_with(state: Path, fakes: list[Fake]) -> Drover:
    config = state / "drover.yaml"
    config.write_text("{}\n")
    drover = Drover(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config", str(config),
                     *(word for fake in fakes for word in ("--backend", fake.url))],
                    {"STATE_DIRECTORY": str(state)})
    drover.wait_ready()
    return drover


def kill_all(drover: Drover) -> None:
    """The gateway first, with the keeper held, so that it is not started again."""
    gateway = drover.gateway_pid()
    drover.signal(signal.SIGSTOP)
    os.kill(gateway, signal.SIGKILL)
    drover.kill()


def holders(fakes: list[Fake]) -> list[bool]:
    return [MODEL in http(f"{fake.url}/api/tags")[1].decode() for fake in fakes]


def begin_pull(drover: Drover) -> None:
    def pull() -> None:
        try:
            http(f"{drover.url}/api/pull", "POST", {"model": "new"}, timeout=60)
        except (OSError, HTTPException):
            pass  # it is killed

    threading.Thread(target=pull, daemon=True).start()


def journal(state: Path) -> str:
    file = state / "store" / "orders"
    return file.read_text() if file.exists() else ""


def test_a_pull_goes_on_after_a_kill(fakes: list[Fake], tmp_path: Path) -> None:
    drover = drover_with(tmp_path, fakes)
    try:
        begin_pull(drover)
        wait_until(lambda: '"verb":"pull"' in journal(tmp_path), "the pull is written down")
        kill_all(drover)
        assert holders(fakes) == [False] * 3
    finally:
        drover.stop()
    drover = drover_with(tmp_path, fakes)
    try:
        drover.wait_line("model order goes on")
        wait_until(lambda: all(holders(fakes)), "every store has it", 60)
        wait_until(lambda: '"verb"' not in journal(tmp_path), "it is over in the journal")
        names = {model["name"] for model in json.loads(http(f"{drover.url}/api/tags")[1])["models"]}
        assert MODEL in names
        assert drover.metric("drover_model_orders_total", verb="pull", result="done") == 1
    finally:
        drover.stop()


def test_a_restart_by_signal_goes_on_too(fakes: list[Fake], tmp_path: Path) -> None:
    drover = drover_with(tmp_path, fakes)
    try:
        begin_pull(drover)
        wait_until(lambda: '"verb":"pull"' in journal(tmp_path), "the pull is written down")
        drover.signal(signal.SIGTERM)
        drover.wait_line("draining")  # two signals at once are one
        drover.signal(signal.SIGTERM)
        drover.wait_exit(30)
    finally:
        drover.stop()
    assert '"verb":"pull"' in journal(tmp_path)
    drover = drover_with(tmp_path, fakes)
    try:
        wait_until(lambda: all(holders(fakes)), "every store has it", 60)
    finally:
        drover.stop()


def test_a_damaged_journal_is_named_and_set_aside(fakes: list[Fake], tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "orders").write_text("drover orders 1\n{\"verb\":\"pull\"")
    drover = drover_with(tmp_path, fakes)
    try:
        drover.wait_line("the journal of orders is damaged.*in its first line")
        assert (tmp_path / "store" / "orders.aside").exists()
        assert http(f"{drover.url}/api/version")[0] == 200
    finally:
        drover.stop()

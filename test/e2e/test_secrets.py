"""A canary sung into prompts, answers and keys is heard nowhere in what drover tells."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
import subprocess

import pytest

from asking import DIALECTS, Dialect, Outcome, ask
from fleet import Drover, Fleet, binary, http
from speeds import FAST

STATUS_PATHS = ("/", "/livez", "/readyz", "/metrics", "/api/v1/status")


async def sing(drover: Drover, canary: str) -> list[Outcome]:
    """The canary as prompt, as answer and as API key, in every dialect."""
    fields = (f"Authorization: Bearer {canary}", f"X-Api-Key: {canary}", f"Cookie: k={canary}",
              f"User-Agent: {canary}", f"X-Note: {canary}")

    def one(dialect: Dialect, stream: bool) -> asyncio.Future[Outcome]:
        return asyncio.ensure_future(
            ask(drover.port, f"echo:{canary} {canary}", dialect, stream, fields=fields))

    return await asyncio.gather(*(one(dialect, stream)
                                  for dialect in DIALECTS for stream in (True, False)))


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_prompt_answer_or_key_is_logged_or_shown(level: str) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    with Fleet(2, config=f"log:\n  level: {level}\n", **FAST) as fleet:
        served = asyncio.run(sing(fleet.drover, canary))
        assert all(outcome.complete and canary in outcome.text for outcome in served)
        for fault in ("cut", "error_mid"):
            for fake in fleet.fakes:
                fake.fault(fault, after_tokens=1)
            asyncio.run(sing(fleet.drover, canary))
        for fake in fleet.fakes:
            fake.clear_faults()
            fake.fault("html")
        asyncio.run(sing(fleet.drover, canary))
        told = [shown(fleet.drover, path) for path in STATUS_PATHS]
        told.append(status(fleet.drover))
        fleet.drover.signal(signal.SIGTERM)
        fleet.drover.wait_exit()
        told.append(fleet.drover.output())
    assert told[-1], "drover wrote no log at all"
    for text in told:
        assert canary not in text, re.findall(rf".*{canary}.*", text)[:3]


def shown(drover: Drover, path: str) -> str:
    return http(drover.admin + path)[1].decode(errors="replace")


def status(drover: Drover) -> str:
    done = subprocess.run(
        [str(binary("drover")), "status", "--admin", f"127.0.0.1:{drover.admin_port}", "--json"],
        capture_output=True, text=True, timeout=20, check=True)
    return done.stdout + done.stderr

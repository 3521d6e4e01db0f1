"""What the tests of all Python clients share: a fleet in which nothing went wrong yet."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from fleet import Fleet


@pytest.fixture(scope="session")
def fleets() -> Iterator[list[Fleet]]:
    """At most one; empty until a test needs one."""
    kept: list[Fleet] = []
    yield kept
    for fleet in kept:
        fleet.close()


@pytest.fixture
def fleet(fleets: list[Fleet]) -> Iterator[Fleet]:
    if not fleets:
        fleets.append(Fleet(instances=2))
    yield fleets[0]
    if not fleets[0].is_pristine():
        fleets.pop().close()  # fails when drover crashed


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients read these; the tests say everything themselves."""
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL",
                 "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL",
                 "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
                 "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def large_image() -> bytes:
    """5 MB that no compression makes smaller, with the head of a PNG."""
    return b"\x89PNG\r\n\x1a\n" + random.Random(5).randbytes(5_000_000)

"""No test waits for ever: a pytest plugin that both folders load."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

TEST_SECONDS = 120
LONG_TEST_SECONDS = 1200


def _give_up(*_: Any) -> None:
    raise TimeoutError("the test took too long")


@pytest.fixture(autouse=True)
def ends_in_time(pytestconfig: pytest.Config) -> Iterator[None]:
    signal.signal(signal.SIGALRM, _give_up)
    long = pytestconfig.getoption("--full", default=False)
    signal.alarm(LONG_TEST_SECONDS if long else TEST_SECONDS)
    yield
    signal.alarm(0)

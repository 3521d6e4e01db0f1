"""Options and the report of measured times that the whole-daemon tests share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gpu_machine import Machine
from measuring import Report, Spread

_REPORT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true",
                     help="longer loops; wall-clock numbers are held against their bounds")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter,
                            config: pytest.Config) -> None:
    if lines := config.stash[_REPORT]:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--full"))


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    def keep(name: str, milliseconds: Sequence[float]) -> Spread:
        spread = Spread(milliseconds)
        pytestconfig.stash[_REPORT].append(f"{name}: {spread}")
        return spread

    return keep


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    try:
        yield one
    finally:
        one.close()

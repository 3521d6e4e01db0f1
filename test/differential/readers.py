"""Runs the readers over the cases, each once, and says what each made of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from cases import Case, all_cases

HERE = Path(__file__).resolve().parent
Said = dict[str, Any]


def build_dir() -> Path:
    return Path(os.environ.get("DROVER_BIN_DIR", str(HERE.parents[1] / "build" / "dev")))


@cache
def cases() -> tuple[Case, ...]:
    return tuple(all_cases())


def ask(command: list[str], lines: list[str]) -> list[Said]:
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True,
                          timeout=120, check=False)
    said = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
    if done.returncode != 0 or len(said) != len(lines):
        raise RuntimeError(f"{command[0]} gave up after {len(said)} of {len(lines)} messages: "
                           f"{done.stderr[-2000:]}")
    return said


@cache
def said_by(reader: str) -> list[Said]:
    commands = {
        "drover": [str(build_dir() / "read_messages")],
        "llhttp": ["node", str(HERE / "read_with_llhttp.cjs")],
        "h11": [sys.executable, "-B", str(HERE / "read_with_h11.py")],
    }
    return ask(commands[reader], [case.line() for case in cases()])


def go_reader() -> Path | None:
    """Where `run` has built it; nothing without Go, or when pytest was started by hand."""
    program = Path(os.environ.get("DROVER_GO_READER", "/nonexistent"))
    return program if program.exists() else None


def said_by_go(messages: list[bytes]) -> list[Said]:
    return ask([str(go_reader())], [message.hex() for message in messages])

"""Wrong configuration is told whole, with places; right configuration is accepted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fleet import ROOT, binary

SHIPPED = sorted((ROOT / "config").glob("*.yaml"))

WRONG = """\
listen: ["127.0.0.1:99999"]
backends:
  - url: ftp://127.0.0.1:11434
  - url: http://127.0.0.1:11435
    no_such_key: 1
policy: fastest
timeouts:
  connect: soon
"""


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary("drover")), "check", "--config", str(file)],
                          capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_file_that_ships_is_accepted(file: Path) -> None:
    done = check(file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    done = check(file)
    told = done.stdout + done.stderr
    places = re.findall(rf"{re.escape(str(file))}:(\d+):(\d+)", told)
    assert done.returncode == 1, told
    assert {int(line) for line, _ in places} >= {1, 3, 5, 6, 8}, told
    assert all(int(column) >= 1 for _, column in places)


def test_broken_yaml_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("backends:\n  - url: [\n")
    done = check(file)
    assert done.returncode == 1
    assert re.search(rf"{re.escape(str(file))}:\d+:\d+", done.stdout + done.stderr)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    done = check(tmp_path / "absent.yaml")
    assert done.returncode == 1 and "absent.yaml" in done.stdout + done.stderr


def test_serve_refuses_a_wrong_file_before_it_listens(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    done = subprocess.run([str(binary("drover")), "serve", "--config", str(file)],
                          capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "listening on" not in done.stdout
    assert f"{file}:6:" in done.stdout + done.stderr

"""`drover logs` beside a drover that runs instances."""

from __future__ import annotations

import os
import signal
import subprocess

from fleet import Child, binary, wait_until
from gpu_machine import Machine


def starts(logs: Child) -> int:
    """How often the instance said that it listens, as far as the log was printed."""
    return sum("| listening on 127.0.0.1:" in line for line in logs.lines())


def test_logs_are_those_of_the_instances(machine: Machine) -> None:
    logs = machine.run("logs")
    assert logs.wait_exit() == 0
    for name in ("gpu0", "gpu1"):
        logs.wait_line(f"^{name} +\\| listening on 127\\.0\\.0\\.1:")
    unknown = machine.run("logs", "gpu7")
    assert unknown.wait_exit() == 1
    unknown.wait_line("no log of an instance gpu7 .*there are: gpu0, gpu1$")


def test_following_sees_a_restart_and_ends_with_a_signal(machine: Machine) -> None:
    logs = machine.run("logs", "-f", "gpu1")
    try:
        logs.wait_line("^gpu1 +\\| listening on")
        victim = wait_until(lambda: machine.status()["instances"][1]["process"]["pid"],
                            "the process is known")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: starts(logs) == 2, "the instance is started again and says so")
        assert not any(line.startswith("gpu0") for line in logs.lines())
        logs.signal(signal.SIGINT)
        assert logs.wait_exit() == 0
    finally:
        logs.stop()


def test_following_ends_when_nobody_reads(machine: Machine) -> None:
    following = subprocess.Popen([str(binary("drover")), "logs", "-f"], stdout=subprocess.PIPE,
                                 env={**os.environ, **machine.environment})
    try:
        assert following.stdout and following.stdout.readline().startswith(b"gpu0")
        following.stdout.close()
        assert following.wait(10) == 0
    finally:
        following.kill()
        following.wait()

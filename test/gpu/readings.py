#!/usr/bin/env python3
"""The GPUs of this machine as drover shows them, held against nvidia-smi and against what was done."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleet import Drover, binary, http, wait_until

CUDA = Path(__file__).with_name("cuda.py")
GIBIBYTE = 1 << 30
MODEL = "small"
CONFIG = """\
ollama:
  supervise: always
  parallel: 2
  spanning: never
  first_port: 12000
"""
# By agreement with nvidia-smi: memory within 1 %, utilisation within 5 points.
MEMORY_PART = 0.01
UTILIZATION_POINTS = 5.0


def smi(query: str, table: str = "gpu") -> list[list[str]]:
    text = subprocess.run(["nvidia-smi", f"--query-{table}={query}",
                           "--format=csv,noheader,nounits"],
                          check=True, capture_output=True, text=True).stdout
    return [[field.strip() for field in line.split(",")] for line in text.splitlines()]


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """cuda.py at work."""
    child = subprocess.Popen([sys.executable, str(CUDA), *arguments], stdout=subprocess.PIPE,
                             text=True)
    try:
        assert child.stdout and child.stdout.readline() == "ready\n", f"cuda.py {arguments} failed"
        yield child
    finally:
        child.kill()
        child.wait()


class Machine:
    """drover over this machine's GPUs, an `ollama` for each, whose runners hold real memory."""

    def __init__(self, home: Path) -> None:
        (home / "bin").mkdir()
        (home / "bin" / "ollama").symlink_to(binary("fake_ollama"))
        (home / "models").mkdir()
        runner = home / "bin" / "runner"
        runner.write_text(f"#!/bin/sh\nexec {sys.executable} {CUDA} hold \"$1\"\n")
        runner.chmod(0o755)
        config = home / "drover.yaml"
        config.write_text(CONFIG)
        environment = {
            "HOME": str(home), "STATE_DIRECTORY": str(home / "state"),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "OLLAMA_MODELS": str(home / "models"),
            "DROVER_FAKE_OPTIONS": f"--models {MODEL}:3GB --runner-processes",
            "DROVER_FAKE_RUNNER": str(runner)}
        self.drover = Drover(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                              "--config", str(config)], environment)
        wait_until(lambda: self.instances() and all(
            one["health"] in ("up", "probation") for one in self.instances()),
            "every instance answers", 30)

    def instances(self) -> list[dict[str, Any]]:
        status: list[dict[str, Any]] = self.drover.status()["instances"]
        return status

    def gpus(self) -> list[dict[str, Any]]:
        devices: list[dict[str, Any]] = self.drover.status()["gpus"]["devices"]
        return devices

    def sheet(self) -> str:
        return subprocess.run([str(binary("drover")), "gpus", "--admin",
                               f"127.0.0.1:{self.drover.admin_port}"],
                              check=True, capture_output=True, text=True).stdout


class Checks:
    def __init__(self) -> None:
        self.passed = self.failed = 0

    def that(self, good: bool, what: str) -> None:
        self.passed += good
        self.failed += not good
        print(("passed  " if good else "FAILED  ") + what, flush=True)


def tries(condition: Callable[[], Any], seconds: float = 10) -> bool:
    try:
        return bool(wait_until(condition, "", seconds))
    except (TimeoutError, AssertionError):
        return False


def check_list(machine: Machine, checks: Checks) -> None:
    names = smi("index,uuid,name,driver_version,memory.total")
    for device, (index, uuid, name, driver, total) in zip(machine.gpus(), names, strict=True):
        mebibytes = device["memory_total_bytes"] / 2**20
        checks.that(device["uuid"] == uuid and device["name"] == name,
                    f"GPU {index} is {name}, {uuid}, driver {driver}")
        checks.that(abs(mebibytes - float(total)) <= 1, f"its memory is {total} MiB: {mebibytes:.0f}")


def check_readings(machine: Machine, checks: Checks, seconds: float) -> None:
    """Under loads that stay the same for a while, medians over the while."""
    print("\n| Load | memory, MiB: nvidia-smi | drover | busy, %: nvidia-smi | drover | C | C | W | W |"
          "\n|---|---|---|---|---|---|---|---|---|")
    worst_memory = worst_busy = 0.0
    loads = [("none", None), ("20 GiB held", ("hold", str(20 * GIBIBYTE))),
             ("a quarter of the time", ("burn", "0.25")), ("half of the time", ("burn", "0.5")),
             ("all the time", ("burn", "1"))]
    for what, arguments in loads:
        rows: list[tuple[float, ...]] = []

        def look() -> None:
            time.sleep(3)  # tidy: allow(sleep) both averages look back
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                device = machine.gpus()[0]
                memory, busy, heat, power = map(float, smi(
                    "memory.used,utilization.gpu,temperature.gpu,power.draw")[0])
                rows.append((memory, device["memory_used_bytes"] / 2**20, busy,
                             device["utilization"] * 100, heat, device["temperature_celsius"],
                             power, device["power_watts"]))
                time.sleep(0.5)  # tidy: allow(sleep) a sampler

        if arguments is None:
            look()
        else:
            with program(*arguments):
                look()
        middle = [statistics.median(column) for column in zip(*rows)]
        worst_memory = max(worst_memory, abs(middle[1] - middle[0]) / max(1.0, middle[0]))
        worst_busy = max(worst_busy, abs(middle[3] - middle[2]))
        print(f"| {what} | " + " | ".join(f"{value:.0f}" for value in middle) + " |", flush=True)
    print()
    checks.that(worst_memory <= MEMORY_PART, f"memory differs by {worst_memory:.2%} at most")
    checks.that(worst_busy <= UTILIZATION_POINTS,
                f"utilisation differs by {worst_busy:.1f} points at most")


def check_pinning(machine: Machine, checks: Checks) -> None:
    free = float(smi("memory.used")[0][0])
    for instance in machine.instances():
        status, _ = http(f"{instance['url']}/api/generate", "POST",
                         {"model": MODEL, "prompt": "hello", "stream": False})
        assert status == 200, status
    checks.that(tries(lambda: "(well)" in machine.sheet() and "WRONG" not in machine.sheet()),
                "an instance whose model is loaded is proven to be on its own GPU")
    print(re.sub(r"^", "        ", machine.sheet(), flags=re.M))
    apps = smi("pid,gpu_uuid,used_memory", "compute-apps")
    shown = {str(process["pid"]): process["memory_bytes"]
             for device in machine.gpus() for process in device["processes"]}
    print("        nvidia-smi:", apps)
    checks.that(bool(apps) and all(pid in shown for pid, _, _ in apps),
                "drover lists the processes that nvidia-smi lists")
    checks.that(all(abs(shown.get(pid, 0) / 2**20 - float(used)) <= 1 for pid, _, used in apps
                    if used.isdigit()), "and the memory of each")
    # An instance that dies takes its runner with it, and the memory is free again.
    machine.drover.kill()
    checks.that(tries(lambda: not smi("pid", "compute-apps"), 15),
                "drover is killed: no runner is left on a GPU")
    checks.that(tries(lambda: abs(float(smi("memory.used")[0][0]) - free) < 100, 15),
                "and the memory is free")


def check_xid(machine: Machine, checks: Checks) -> None:
    def count() -> float:
        return machine.drover.metric("drover_gpu_xid_errors_total", xid="31")
    try:
        before = count()
    except KeyError:
        before = 0
    wild = subprocess.run([sys.executable, str(CUDA), "wild"], capture_output=True, text=True)
    print("        the wild write:", wild.stderr.strip())

    def counted() -> bool:
        try:
            return count() == before + 1
        except KeyError:
            return False
    checks.that(tries(counted), "a wild write of a CUDA program is counted as XID 31, once")


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="drover-gpu-") as home:
        machine = Machine(Path(home))
        try:
            print(json.dumps(machine.gpus()[0], indent=1))
            check_list(machine, checks)
            check_readings(machine, checks, seconds)
            check_xid(machine, checks)
            check_pinning(machine, checks)
        finally:
            machine.drover.stop()
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())

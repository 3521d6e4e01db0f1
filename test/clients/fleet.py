"""A fleet for tests: simulated Ollama instances and a drover in front of them, as child processes.

Everything listens on a port that the kernel picks and is waited for by its own words (a ready line,
then /readyz), each wait with a deadline. Children are ended by their process id, always.

As a program: `fleet.py --instances 2 COMMAND…` runs COMMAND, tells it about the fleet in
DROVER_TEST_… variables, and exits with its status.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
CHAT_MODEL = "llama3.2:latest"
EMBED_MODEL = "nomic-embed-text:latest"
READY_SECONDS = 20.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.005
CRASHES = tuple(-number for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS,
                                       signal.SIGILL, signal.SIGFPE))


def binary(name: str) -> Path:
    """The program under test: in $DROVER_BIN_DIR, else in the release build."""
    return Path(os.environ.get("DROVER_BIN_DIR", str(ROOT / "build" / "release"))) / name


def wait_until(condition: Callable[[], T | None], what: str, seconds: float = 10.0) -> T:
    """Asks `condition` again and again until it says something true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        pause.wait(POLL_SECONDS)


def http(url: str, method: str = "GET", body: Any = None,
         timeout: float = 5.0) -> tuple[int, bytes]:
    """One small request, for control and status: (status, body)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with _opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


# Whatever proxy the environment names, these requests stay on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Child:
    """A process whose output is kept line by line, so that a test can wait for what it says."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.command = list(command)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._open_pipes = 2
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", env={**_plain_environment(), **(environment or {})})
        self._readers = [threading.Thread(target=self._read, args=(pipe,), daemon=True)
                         for pipe in (self.process.stdout, self.process.stderr)]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._open_pipes -= 1
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def output(self) -> str:
        return "\n".join(self.lines())

    def wait_line(self, pattern: str, seconds: float = READY_SECONDS) -> re.Match[str]:
        """The first line, said already or yet to come, that matches."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if left <= 0 or not self._open_pipes:
                    heard = "\n  ".join(self._lines[-30:])
                    raise TimeoutError(f"{self.command[0]} never said {pattern!r}, but\n  {heard}")
                self._changed.wait(left)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        status = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        return status

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> int:
        """kill -9; returns the moment (monotonic, nanoseconds) before the signal was sent."""
        moment = time.monotonic_ns()
        self.process.kill()
        self.wait_exit()
        return moment

    def running(self) -> bool:
        return self.process.poll() is None

    def crashed(self) -> str:
        """What it said last when it died of itself; else nothing."""
        died = self.process.poll() in CRASHES
        return "\n".join(self.lines()[-5:]) or "without a word" if died else ""

    def stop(self) -> None:
        if self.running():
            self.process.kill()
        self.wait_exit()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def resident_bytes(self) -> int:
        """Memory of the process and of its children, as the kernel accounts it."""
        return sum(_resident_bytes(pid) for pid in _family(self.pid))


def _plain_environment() -> dict[str, str]:
    """Ours without what configures drover or Ollama: each test says that itself."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("DROVER_", "OLLAMA_"))}


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def _resident_bytes(pid: int) -> int:
    match = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(match[1]) * 1024 if match else 0


class Fake(Child):
    """A simulated Ollama. Options are the program's own flags: `parallel=4` is `--parallel 4`."""

    def __init__(self, name: str = "sim", port: int = 0, **options: Any) -> None:
        self.name = name
        self.options = options
        self.was_faulty = False
        flags = [word for key, value in options.items()
                 for word in (f"--{key.replace('_', '-')}", str(value))]
        super().__init__([str(binary("fake_ollama")), "--listen", f"127.0.0.1:{port}",
                          "--name", name, *flags])
        try:
            self.port = int(self.wait_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def again(self) -> Fake:
        """A fresh process with the same options on the same port."""
        return Fake(self.name, self.port, **self.options)

    def fault(self, kind: str, **details: object) -> None:
        self.was_faulty = True
        try:
            status, body = http(f"{self.url}/fake/fault", "POST", {"kind": kind, **details})
        except ConnectionError:
            if kind != "crash":  # which resets every connection, ours too
                raise
            return
        if status // 100 != 2:
            raise RuntimeError(f"fault {kind} was not taken: {status} {body!r}")

    def clear_faults(self) -> None:
        http(f"{self.url}/fake/fault", "DELETE")

    def set(self, **options: float) -> None:
        """Changes token_ms, load_ms, prefill_ms_per_kb or tokens from here on."""
        status, body = http(f"{self.url}/fake/options", "POST", options)
        if status != 200:
            raise RuntimeError(f"options were not taken: {status} {body!r}")

    def state(self) -> dict[str, Any]:
        status, body = http(f"{self.url}/fake/state")
        if status != 200:
            raise RuntimeError(f"/fake/state answered {status}")
        state: dict[str, Any] = json.loads(body)
        return state


class Drover(Child):
    """`drover serve ARGUMENTS`; it listens when the constructor returns."""

    def __init__(self, arguments: Sequence[str],
                 environment: dict[str, str] | None = None) -> None:
        # What outlives one drover of a test must not reach the next.
        self._state = tempfile.TemporaryDirectory(prefix="drover-state-")
        super().__init__([str(binary("drover")), "serve", *arguments],
                         {"STATE_DIRECTORY": self._state.name, **(environment or {})})
        try:
            self.port = int(self.wait_line(r"^listening on 127\.0\.0\.1:(\d+)")[1])
            self.admin_port = int(self.wait_line(r"^admin on 127\.0\.0\.1:(\d+)")[1])
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"

    @classmethod
    def in_front_of(cls, backends: Sequence[str], policy: str | None = None,
                    config: str = "{}\n") -> Drover:
        """On ports of the kernel's choice, all of `backends` up. `config` is the text of its
        file, the test's own, so that no other configuration of this machine is read."""
        arguments = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        for url in backends:
            arguments += ["--backend", url]
        if policy:
            arguments += ["--policy", policy]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(config)
            file.flush()
            drover = cls([*arguments, "--config", file.name])
        try:
            drover.wait_ready()
            wait_until(lambda: drover.metric("drover_backend_up") == len(backends),
                       "every instance is up")
        except BaseException:
            drover.stop()
            raise
        return drover

    def stop(self) -> None:
        super().stop()
        self._state.cleanup()

    def crashed(self) -> str:
        """The keeper hides a gateway that crashes from clients; tests shall see it."""
        said = [line for line in self.lines() if "gateway ended, starting it again" in line]
        return super().crashed() or "\n".join(said)

    def gateway_pid(self) -> int:
        """The process that serves; the one that was started is its keeper."""
        for pid in _family(self.pid)[1:]:
            if b"\0gateway\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise LookupError("no gateway runs")

    def resident_bytes(self) -> int:
        """Of the process that serves: the keeper's memory is no matter of requests."""
        return _resident_bytes(self.gateway_pid())

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(http(f"{self.admin}/api/v1/status")[1])
        return answer

    def wait_ready(self) -> None:
        wait_until(lambda: http(f"{self.admin}/readyz")[0] == 200, "drover is ready")

    def metrics(self) -> str:
        return http(f"{self.admin}/metrics")[1].decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum over the samples of `name` that carry `labels`; 0 when there is none yet."""
        total = 0.0
        text = self.metrics()
        if f"# TYPE {name} " not in text:
            raise KeyError(name)
        for line in text.splitlines():
            match = re.match(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
            if match and all(f'{key}="{value}"' in (match[1] or "")
                             for key, value in labels.items()):
                total += float(match[2])
        return total


class Fleet:
    """`instances` simulated Ollamas and a drover; a context manager that leaves nothing behind.

    The instances share a seed, so that a question has one answer wherever it goes.
    """

    def __init__(self, instances: int = 2, policy: str | None = None, config: str = "{}\n",
                 **fake_options: Any) -> None:
        self.fakes: list[Fake] = []
        self._retired: list[Child] = []
        try:
            for index in range(instances):
                self.fakes.append(Fake(f"sim{index}", **fake_options))
            self.drover = Drover.in_front_of([fake.url for fake in self.fakes], policy, config)
        except BaseException:
            self._stop_fakes()
            raise

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        crashed = self.drover.crashed()
        self.drover.stop()
        self._stop_fakes()
        if crashed:
            raise AssertionError(f"drover crashed: {crashed}")

    def _stop_fakes(self) -> None:
        for child in [*self.fakes, *self._retired]:
            child.stop()

    @property
    def url(self) -> str:
        return self.drover.url

    def kill(self, index: int) -> int:
        """kill -9 of one instance; returns the moment before it, monotonic nanoseconds."""
        return self.fakes[index].kill()

    def working(self) -> Fake:
        """The instance that works for somebody; waits for there to be one."""
        return wait_until(lambda: next((fake for fake in self.fakes if fake.state()["running"]),
                                       None), "an instance works")

    def restart(self, index: int) -> Fake:
        self._retired.append(self.fakes[index])
        self.fakes[index] = self.fakes[index].again()
        return self.fakes[index]

    def is_pristine(self) -> bool:
        """Nothing ever went wrong in it, so that no instance is distrusted."""
        return self.drover.running() and all(
            fake.running() and not fake.was_faulty for fake in self.fakes)

    def total(self, count: str) -> int:
        """The sum of one counter of /fake/state over the living instances."""
        return sum(int(fake.state()[count]) for fake in self.fakes if fake.running())


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs a command beside a fleet.")
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    with Fleet(wanted.instances) as fleet:
        environment = {**os.environ, "DROVER_TEST_URL": fleet.url,
                       "DROVER_TEST_ADMIN": fleet.drover.admin,
                       "DROVER_TEST_CHAT_MODEL": CHAT_MODEL,
                       "DROVER_TEST_EMBED_MODEL": EMBED_MODEL,
                       "DROVER_TEST_FAKES": " ".join(fake.url for fake in fleet.fakes)}
        status = subprocess.run(wanted.command, env=environment, check=False).returncode
        if status:
            print(fleet.drover.output()[-4000:], file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main())

"""A machine with two simulated GPUs and an `ollama`, where drover runs one instance on each."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from fleet import CHAT_MODEL, Child, Drover, binary, http, wait_until

GPUS = ("GPU-aaaa", "GPU-bbbb")
# Two requests at once for each instance, 20 ms a token: 100 tokens a second, however fast we are.
SIMULATED = f"--models {CHAT_MODEL} --token-ms 20 --load-ms 50 --prefill-ms-per-kb 0"
TOKENS_A_SECOND = 100
CONFIG = """\
ollama:
  supervise: always
  parallel: 2
  spanning: never
  first_port: {first_port}
"""


def own_ports() -> int:
    """Where ports of our own begin: without configuration any other drover of this machine asks the
    usual ones who is there, and sends its requests to our instances."""
    return 12_000 + 16 * (os.getpid() % 1000)


class Machine:
    """A home with two GPUs, as the stand-in for NVIDIA's library tells it, and an `ollama`.

    A GPU is as busy as its instance: its utilization is 97 % while that one computes.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.scenario = home / "scenario"
        self._describe((0, 0))
        program = home / "bin" / "ollama"
        program.parent.mkdir()
        program.symlink_to(binary("fake_ollama"))
        (home / "models").mkdir()
        (home / "gpus").mkdir()
        config = home / "drover.yaml"
        config.write_text(CONFIG.format(first_port=own_ports()))
        self.environment = {
            "HOME": str(home), "STATE_DIRECTORY": str(home / "state"),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "OLLAMA_MODELS": str(home / "models"), "DROVER_FAKE_OPTIONS": SIMULATED,
            "FAKE_NVML_SCENARIO": str(self.scenario), "DROVER_FAKE_GPUS": str(home / "gpus"),
            "DROVER_NVML_LIBRARY": str(binary("fake_nvml") / "libnvidia-ml.so.1")}
        self.drover = Drover(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                              "--config", str(config)], self.environment)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        try:
            # In probation it waits for a first request, which `prove` sends.
            wait_until(lambda: all(one["health"] in ("up", "probation")
                                   for one in self.status()["instances"]),
                       "every instance answers", 20)
            self.urls = [one["url"] for one in self.status()["instances"]][:len(GPUS)]
            self._watcher.start()
        except BaseException:
            self.drover.stop()
            raise

    def _describe(self, busy: tuple[int, ...]) -> None:
        text = "driver 550.54\n" + f"processes_dir {self.home / 'gpus'}\n"
        for uuid, utilization in zip(GPUS, busy):
            text += f"gpu {uuid}\n  name H100\n  memory_total 85520809984\n"
            text += f"  utilization {utilization}\n"
        fresh = self.scenario.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.scenario)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._describe(tuple(97 if self._computes(url) else 0 for url in self.urls))

    @staticmethod
    def _computes(url: str) -> bool:
        try:
            return bool(json.loads(http(f"{url}/fake/state")[1])["running"])
        except OSError:
            return False

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(http(f"{self.drover.admin}/api/v1/status")[1])
        return status

    def run(self, *arguments: str) -> Child:
        """Another drover on this machine: `drover ARGUMENTS`."""
        return Child([str(binary("drover")), *arguments], self.environment)

    def prove(self, *arguments: str) -> Child:
        return self.run("prove", "--admin", f"127.0.0.1:{self.drover.admin_port}", *arguments)

    def close(self) -> None:
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self.drover.stop()

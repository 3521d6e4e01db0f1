"""A machine made up for drover: GPUs, an `ollama` program, a store of models, each a stand-in in a
folder of the test's own. Nothing of the real machine is found and nothing is left on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import Drover, binary, wait_until

GPU_BYTES = 24 << 30
MODEL_BYTES = 2_000_000_000


@dataclass
class Gpu:
    uuid: str
    utilization: int | None = 50
    memory: int = GPU_BYTES
    more: str = ""  # further lines of the scenario

    def lines(self, number: int) -> str:
        text = f"gpu {self.uuid}\n  name Test GPU\n  pci 0000:{number:02x}:00.0\n"
        text += f"  memory_total {self.memory}\n  memory_used 100000000\n"
        if self.utilization is not None:
            text += f"  utilization {self.utilization}\n"
        return text + self.more


class Machine:
    """A context manager: `machine.serve()` starts a drover that finds all of it."""

    def __init__(self, gpus: int = 2, options: str = "", models: str = "llama3.2") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="drover-machine-")
        self.path = Path(self._folder.name)
        self.gpus = [Gpu(f"GPU-{chr(97 + index) * 4}") for index in range(gpus)]
        self.options = options
        self.drovers: list[Drover] = []
        self.path.joinpath("bin").mkdir()
        self.path.joinpath("bin", "ollama").symlink_to(binary("fake_ollama"))
        self.path.joinpath("gpus").mkdir()
        for model in models.split(","):
            manifest = self.path / "home/.ollama/models/manifests/registry.ollama.ai/library"
            manifest.joinpath(model).mkdir(parents=True)
            manifest.joinpath(model, "latest").write_text(
                json.dumps({"layers": [{"size": MODEL_BYTES}]}))
        self.write_gpus()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        for drover in self.drovers:
            drover.stop()
        # Whatever a failed test left: by its mark, never by its name.
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._folder.cleanup()

    def write_gpus(self) -> None:
        text = f"driver 550.54\nprocesses_dir {self.path / 'gpus'}\n"
        text += "".join(gpu.lines(number) for number, gpu in enumerate(self.gpus))
        fresh = self.path / "scenario.new"
        fresh.write_text(text)
        fresh.rename(self.path / "scenario")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.path / "home"),
            "PATH": f"{self.path / 'bin'}:/usr/bin:/bin",
            "STATE_DIRECTORY": str(self.path / "state"),
            "DROVER_NVML_LIBRARY": str(binary("fake_nvml") / "libnvidia-ml.so.1"),
            "FAKE_NVML_SCENARIO": str(self.path / "scenario"),
            "DROVER_FAKE_GPUS": str(self.path / "gpus"),
            "DROVER_FAKE_OPTIONS": self.options,
        }

    def serve(self, config: str = "", ready: int | None = None, first_port: int = 0) -> Drover:
        """A drover over all GPUs; `ready` instances are up when it returns (default: all)."""
        file = self.path / "drover.yaml"
        port = first_port or 21000 + os.getpid() % 8000
        file.write_text(f"ollama:\n  supervise: always\n  first_port: {port}\n{config}")
        drover = Drover(["--config", str(file), "--listen", "127.0.0.1:0", "--admin",
                         "127.0.0.1:0"], self.environment)
        self.drovers.append(drover)
        wanted = len(drover.status()["instances"]) if ready is None else ready
        wait_until(lambda: sum(each["health"] == "up" for each in drover.status()["instances"])
                   >= wanted, "the instances are up", 20)
        return drover

    def processes(self) -> list[int]:
        """Everything alive that was started on this machine: it has its folder in its environment."""
        mark = f"DROVER_FAKE_GPUS={self.path / 'gpus'}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                state = entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0]
                if state != "Z" and mark in entry.joinpath("environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def named(self, word: str) -> list[int]:
        """Of these, those whose command line has this word: serve, runner, minder, gateway."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if word.encode() in words[1:2]:
                    found.append(pid)
        return found

    def servers(self) -> list[int]:
        """The `ollama serve` processes."""
        return [pid for pid in self.named("serve")
                if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"ollama")]


def instance(drover: Drover, name: str) -> dict[str, Any]:
    return next(each for each in drover.status()["instances"] if each["name"] == name)


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)

"""Each command of Ollama's CLI with a real Ollama: alone, then through drover. The answers have to
be equal but for names, times and ids.

Prints a line for each command; the last line is "N passed, N failed".
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import tiny_gguf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))
from fleet import Child, Drover, wait_until  # noqa: E402

COMMAND_SECONDS = 120
MODELFILE = """FROM ./tiny.gguf
TEMPLATE "{{ .Prompt }}"
PARAMETER temperature 0
PARAMETER seed 1
PARAMETER num_ctx 2048
PARAMETER num_predict 8
"""
# In order: what a command leaves behind is there for the next.
COMMANDS = (
    "create tiny -f Modelfile", "list", "show tiny", "run tiny sky", "ps", "cp tiny other", "list",
    "run other sky", "stop other", "stop tiny", "ps", "rm other", "list", "show other",
    "run missing-model-of-nobody sky", "rm tiny", "list", "rm tiny",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Ollama(Child):
    def __init__(self, program: str, home: Path) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        home.mkdir()
        super().__init__([program, "serve"],
                         {"OLLAMA_HOST": self.host, "OLLAMA_MODELS": str(home / "models"),
                          "HOME": str(home), "OLLAMA_CONTEXT_LENGTH": "2048"})
        try:
            wait_until(self.answers, "ollama serve answers", 60)
        except TimeoutError:
            self.stop()
            raise

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.host}/api/version", timeout=2).close()
        except OSError:
            return False
        return True


@dataclass
class Heard:
    status: int
    text: str


# What differs between two runs of the same command: terminal codes and spinners, ages, ids, speeds.
NOISE = (
    (r"\x1b\[[0-9;?]*[a-zA-Z]", ""), (r"[⠀-⣿]", ""), (r"\r", "\n"),
    (r"\b[0-9a-f]{12,64}\b", "ID"), (r"\b\d+(\.\d+)? ?(ms|s|seconds?|minutes?|hours?)\b", "TIME"),
    (r"(Less than a|About a|About an) (second|minute|hour)( ago| from now)?", "TIME"),
    (r"\d+ (seconds?|minutes?|hours?) (ago|from now)", "TIME"), (r"TIME (ago|from now)", "TIME"),
    (r"\b\d+(\.\d+)? ?[kMG]?B/s\b", "SPEED"), (r"\d+ ?%", "PERCENT"),
)


def plain(text: str) -> str:
    for pattern, instead in NOISE:
        text = re.sub(pattern, instead, text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    # Progress is told as often as it changes, which is a matter of time.
    kept: list[str] = []
    for line in lines:
        if line and (not kept or line != kept[-1]):
            kept.append(line)
    return "\n".join(kept)


@dataclass
class Place:
    program: str
    host: str
    folder: Path
    heard: list[Heard] = field(default_factory=list)

    def run(self) -> None:
        for command in COMMANDS:
            done = subprocess.run(
                [self.program, *command.split()], cwd=self.folder, check=False,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=COMMAND_SECONDS, text=True, errors="replace",
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "dumb",
                     "OLLAMA_HOST": self.host, "OLLAMA_NOHISTORY": "1"})
            self.heard.append(Heard(done.returncode, plain(done.stdout)))


def compare(alone: Place, through: Place) -> int:
    failed = 0
    for command, one, two in zip(COMMANDS, alone.heard, through.heard, strict=True):
        same = one == two
        failed += not same
        print(f"{'ok    ' if same else 'DIFFER'} ollama {command} (exit {one.status})")
        if not same:
            print("\n".join(difflib.unified_diff(one.text.splitlines(), two.text.splitlines(),
                                                 "alone", f"drover, exit {two.status}",
                                                 lineterm="")))
    return failed


def main() -> int:
    program = shutil.which("ollama")
    if program is None:
        print("real: skipped, there is no ollama on PATH; install Ollama to hold drover against it")
        print("0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_gguf.write(folder / "tiny.gguf")
        (folder / "Modelfile").write_text(MODELFILE)
        first, second = Ollama(program, folder / "first"), Ollama(program, folder / "second")
        drover = None
        try:
            drover = Drover.in_front_of([f"http://{second.host}"])
            alone = Place(program, first.host, folder)
            through = Place(program, f"127.0.0.1:{drover.port}", folder)
            alone.run()
            through.run()
            version = subprocess.run([program, "--version"], capture_output=True, text=True,
                                     check=False, env={**os.environ, "OLLAMA_HOST": first.host})
            print(f"real: {version.stdout.strip() or version.stderr.strip()}")
            failed = compare(alone, through)
        finally:
            for child in (drover, first, second):
                if child is not None:
                    child.stop()
    print(f"{len(COMMANDS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

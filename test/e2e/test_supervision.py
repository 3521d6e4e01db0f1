"""drover runs Ollama itself: one pinned instance per GPU, watched, started again, never orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from asking import CHAT, GENERATE, Outcome, ask, ask_now, until, words
from fleet import Drover, binary, http, wait_until
from supervised import GPU_BYTES, Gpu, Machine, environment_of, instance

KILLS = 50  # with --full; fewer by default
FEWER_KILLS = 12
LOAD = 16  # requests at any moment while processes are killed


# Of two questions each goes to another instance, so that all have the model loaded.
EVERYWHERE = "policy: least_loaded\n"


def test_every_gpu_has_a_pinned_instance_and_all_gpus_one_for_large_models() -> None:
    with Machine(gpus=3) as machine:
        drover = machine.serve()
        status = drover.status()
        placed = {each["name"]: each["gpus"] for each in status["instances"]}
        assert placed == {"gpu0": ["GPU-aaaa"], "gpu1": ["GPU-bbbb"], "gpu2": ["GPU-cccc"],
                          "all-gpus": ["GPU-aaaa", "GPU-bbbb", "GPU-cccc"]}
        pinned = sorted(environment_of(pid)["CUDA_VISIBLE_DEVICES"] for pid in machine.servers())
        assert pinned == ["GPU-aaaa", "GPU-aaaa,GPU-bbbb,GPU-cccc", "GPU-bbbb", "GPU-cccc"]
        for pid in machine.servers():
            variables = environment_of(pid)
            assert variables["OLLAMA_VULKAN"] == "0"
            assert variables["OLLAMA_NOPRUNE"] == "1"
            assert variables["OLLAMA_MODELS"] == str(machine.path / "home/.ollama/models")
            assert variables["OLLAMA_CONTEXT_LENGTH"] == "32768"


def test_what_runs_where_is_proven_by_the_driver_after_the_first_load() -> None:
    with Machine() as machine:
        drover = machine.serve(EVERYWHERE)
        for _ in range(2):
            assert ask_now(drover.port, "hello").complete
        for name in ("gpu0", "gpu1"):
            wait_until(lambda name=name: instance(drover, name)["process"]["pinned_well"] is True,
                       f"{name} is seen on its GPU")


def test_a_runner_on_a_foreign_gpu_is_said_loudly() -> None:
    with Machine() as machine:
        drover = machine.serve()
        assert ask_now(drover.port, "hello").complete
        runner = wait_until(lambda: machine.named("runner"), "a runner runs")[0]
        home = environment_of(runner)["CUDA_VISIBLE_DEVICES"]
        other = "GPU-bbbb" if home == "GPU-aaaa" else "GPU-aaaa"
        folder = machine.path / "gpus" / other
        folder.mkdir(exist_ok=True)
        folder.joinpath(str(runner)).write_text("1000000000")
        drover.wait_line("instance is not where it was pinned")
        wait_until(lambda: any(each["process"]["pinned_well"] is False
                               for each in drover.status()["instances"]), "the status says so")


def test_cpu_memory_and_restarts_agree_with_ps() -> None:
    with Machine() as machine:
        drover = machine.serve()
        assert ask_now(drover.port, words("a", 20)).complete
        wait_until(lambda: sum(each["process"]["processes"]
                               for each in drover.status()["instances"]) == 4,
                   "three servers and a runner are counted")
        for name in ("gpu0", "gpu1", "all-gpus"):
            process = instance(drover, name)["process"]
            family = [process["pid"], *_children(process["pid"])]
            told = subprocess.run(["ps", "-o", "rss=,cputimes=", "-p", ",".join(map(str, family))],
                                  capture_output=True, text=True, check=True).stdout.split()
            rss = sum(map(int, told[::2])) * 1024
            assert abs(process["resident_bytes"] - rss) <= max(rss * 0.1, 2 << 20)
            assert abs(process["cpu_seconds"] - sum(map(int, told[1::2]))) <= 2
            assert process["restarts"] == 0
        victim = instance(drover, "gpu1")["process"]["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: instance(drover, "gpu1")["process"]["restarts"] == 1
                   and instance(drover, "gpu1")["process"]["state"] == "running", "it runs again")


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *_children(int(child))]
    return found


async def _keep_asking(port: int, stop: asyncio.Event, answers: list[Outcome], label: str) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        outcome = Outcome()
        answers.append(outcome)
        dialect = GENERATE if number % 2 else CHAT
        await ask(port, f"echo:{words(f'{label}n{number}', 12)}", dialect, number % 3 != 0, outcome)


def _is_spanning(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "," in environment_of(pid).get("CUDA_VISIBLE_DEVICES", "")
    return False


def _up(drover: Drover) -> int:
    """Pinned instances that take requests."""
    return sum(each["health"] == "up" for each in drover.status()["instances"]
               if each["placement"] == "pinned")


async def _kill_at_random(machine: Machine, drover: Drover, seed: int,
                          kills: int) -> list[Outcome]:
    chance = random.Random(seed)
    stop = asyncio.Event()
    answers: list[Outcome] = []
    tasks = [asyncio.create_task(_keep_asking(drover.port, stop, answers, f"c{client}"))
             for client in range(LOAD)]
    for _ in range(kills):
        served = sum(each.complete for each in answers)
        # What the latest kill did must be known and mended: with nobody left, nobody can serve.
        await until(lambda served=served: sum(each.complete for each in answers)
                    >= served + 3 * LOAD and _up(drover) == 3, "all serve again", 60)
        kind = chance.choice(["server", "runner", "minder"])
        victims = machine.servers() if kind == "server" else machine.named(kind)
        # The spanning instance serves none of this; killed five times it would rightly stay out.
        victims = [pid for pid in victims if not _is_spanning(pid)]
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)
    stop.set()
    await asyncio.gather(*tasks)
    return answers


def test_killed_at_random_under_load_nothing_is_orphaned_and_nothing_unbegun_is_lost(
        full: bool) -> None:
    with Machine(gpus=3, options="--token-ms 3 --load-ms 50") as machine:
        drover = machine.serve(EVERYWHERE)
        answers = asyncio.run(_kill_at_random(machine, drover, 20261125,
                                              KILLS if full else FEWER_KILLS))
        assert not drover.crashed()
        lost = [each for each in answers if not each.complete and each.first_content_at == 0]
        assert not lost, (f"{len(lost)} of {len(answers)} lost, the first: {lost[0].status} "
                          f"{lost[0].error or lost[0].body!r}")
        silent = [each for each in answers if not each.complete and not each.error]
        assert not silent, "a stream was cut without a word"
        # A gateway that has just been started again would know no process yet.
        wait_until(lambda: all((each["process"] or {}).get("state") == "running"
                               for each in drover.status()["instances"]), "every instance is back",
                   90)
        # Every runner that is left belongs to a server that is left.
        wait_until(lambda: len(machine.servers()) == 4, "every server runs")
        servers = machine.servers()
        wait_until(lambda: all(_parent(pid) in servers for pid in machine.named("runner")),
                   "no runner is orphaned")
        assert not drover.crashed(), drover.output()[-5000:]
        drover.signal(signal.SIGTERM)
        assert drover.wait_exit(60) == 0, drover.output()[-5000:]
        assert not machine.processes()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0


def test_a_killed_drover_leaves_nothing_and_the_next_one_serves_within_two_seconds(report) -> None:
    with Machine() as machine:
        drover = machine.serve()
        for _ in range(4):
            assert ask_now(drover.port, "hello").complete
        assert machine.named("runner")
        drover.kill()
        wait_until(lambda: not machine.processes(), "everything is gone with it")
        began = time.monotonic()
        again = machine.serve(ready=1)
        assert ask_now(again.port, "hello").complete
        took = time.monotonic() - began
        report("killed drover to first answer of the next", [took * 1000])
        assert took < 2.0 + 0.5  # the model of the stand-in loads in 0.3 s


def test_keeper_and_minders_killed_together_leave_runners_that_the_next_start_ends() -> None:
    with Machine() as machine:
        drover = machine.serve(EVERYWHERE)
        for _ in range(2):
            assert ask_now(drover.port, "hello").complete
        runners = machine.named("runner")
        assert len(runners) == 2
        for pid in [drover.pid, *machine.named("minder")]:
            os.kill(pid, signal.SIGSTOP)  # so that no minder sees the keeper go
        for pid in [*machine.named("minder"), drover.pid]:
            os.kill(pid, signal.SIGKILL)
        drover.wait_exit()
        wait_until(lambda: not machine.servers(), "the servers are gone")
        assert set(machine.named("runner")) == set(runners)
        again = machine.serve()
        again.wait_line("ended .* processes that an earlier drover left")
        assert not set(machine.named("runner")) & set(runners)


def test_a_crashed_gateway_is_started_again_and_connections_wait_for_it() -> None:
    with Machine() as machine:
        drover = machine.serve()
        first = drover.gateway_pid()
        os.kill(first, signal.SIGKILL)
        assert ask_now(drover.port, "hello").complete
        assert drover.gateway_pid() != first
        assert all(each["process"]["restarts"] == 0 for each in drover.status()["instances"])


def open_files(process: Path) -> set[str]:
    found = set()
    for link in process.joinpath("fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(link))
    return found


def test_the_gateway_cannot_run_programs_and_has_no_device() -> None:
    with Machine() as machine:
        drover = machine.serve()
        gateway = Path(f"/proc/{drover.gateway_pid()}")
        assert gateway.joinpath("comm").read_text() == "drover\n", "what top shows"
        status = gateway.joinpath("status").read_text()
        sandbox = drover.wait_line('"event":"sandbox".*')[0]
        if "built with a sanitizer" not in sandbox:
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status
            assert "CapEff:\t0000000000000000" in status
            # A kernel may have no Landlock; a rule that is refused is our mistake.
            assert "files confined" in sandbox or "has no Landlock" in sandbox
        files = open_files(gateway)
        assert not [file for file in files if file.startswith("/dev/") and file != "/dev/null"]
        assert "libnvidia-ml" not in gateway.joinpath("maps").read_text()


def test_an_instance_that_cannot_start_is_put_aside_with_the_reason() -> None:
    with Machine(gpus=1, options="--no-such-option") as machine:
        drover = machine.serve(ready=0)
        process = wait_until(
            lambda: (found := instance(drover, "gpu0")["process"])["state"] == "quarantined"
            and found, "it is in quarantine", 60)
        assert "failed 5 times within 10 minutes" in process["reason"]
        assert "exit code 2" in process["reason"]
        assert "drover backends restart" in process["reason"]
        assert process["restarts"] == 4
        status, body = http(f"http://127.0.0.1:{drover.port}/api/generate", "POST",
                            {"model": "llama3.2", "prompt": "hi"})
        assert status == 503
        assert b"error" in body


def test_gpus_that_are_renumbered_keep_their_instances() -> None:
    with Machine() as machine:
        drover = machine.serve()
        drover.signal(signal.SIGTERM)
        drover.wait_exit()
        machine.gpus.reverse()
        machine.write_gpus()
        again = machine.serve("  instances:\n    - gpus: [GPU-aaaa]\n      name: first\n")
        pinned = [environment_of(pid)["CUDA_VISIBLE_DEVICES"] for pid in machine.servers()]
        assert "GPU-aaaa" in pinned
        assert instance(again, "first")["gpus"] == ["GPU-aaaa"]


def test_without_a_gpu_one_instance_runs_on_the_cpu_and_says_so() -> None:
    with Machine(gpus=0) as machine:
        drover = machine.serve()
        drover.wait_line("no GPU was found: one instance runs on the CPU")
        assert ask_now(drover.port, "hello").complete


@pytest.mark.parametrize(("config", "words_of_it"), [
    ("  program: /nonexistent/ollama\n", "no program that can be run"),
    ("  instances:\n    - gpus: [GPU-zzzz]\n", "drover gpus"),
])
def test_what_cannot_be_supervised_is_refused_with_the_remedy(config: str,
                                                               words_of_it: str) -> None:
    with Machine() as machine:
        file = machine.path / "drover.yaml"
        file.write_text(f"ollama:\n  supervise: always\n{config}")
        done = subprocess.run([binary("drover"), "serve", "--config", file, "--listen",
                               "127.0.0.1:0", "--admin", "127.0.0.1:0"], capture_output=True,
                              text=True, timeout=20, env={**os.environ, **machine.environment},
                              check=False)
        assert done.returncode == 1
        assert words_of_it in done.stderr


def test_output_of_an_instance_is_kept_and_put_aside_when_it_is_full() -> None:
    with Machine(gpus=1) as machine:
        drover = machine.serve("  log_bytes: 64KiB\n")
        log = machine.path / "state/logs/gpu0.log"
        wait_until(lambda: "listening on" in log.read_text(), "its words are in the log")
        assert log.stat().st_mode & 0o007 == 0  # not for everybody's eyes
        assert json.loads(http(f"{drover.admin}/api/v1/status")[1])


def test_gpu_readings_reach_status_and_metrics_while_they_change() -> None:
    with Machine() as machine:
        drover = machine.serve()
        machine.gpus[1] = Gpu("GPU-bbbb", utilization=93)
        machine.write_gpus()
        wait_until(lambda: drover.metric("drover_gpu_utilization_ratio", gpu="GPU-bbbb") == 0.93,
                   "the new reading is there")
        assert drover.metric("drover_gpu_memory_total_bytes", gpu="GPU-aaaa") == GPU_BYTES
        machine.gpus[1] = Gpu("GPU-bbbb", more="  error 15\n")
        machine.write_gpus()
        wait_until(lambda: any(gpu["condition"] == "lost" for gpu in
                               drover.status()["gpus"]["devices"]),
                   "the lost GPU is said to be lost")


async def _restart_all_under_load(drover: Drover) -> tuple[int, str, list[Outcome]]:
    stop = asyncio.Event()
    answers: list[Outcome] = []
    tasks = [asyncio.create_task(_keep_asking(drover.port, stop, answers, f"r{client}"))
             for client in range(LOAD)]
    await until(lambda: any(each.complete for each in answers), "requests are served")
    restart = await asyncio.create_subprocess_exec(
        binary("drover"), "backends", "restart", "--all", "--rolling", "--admin",
        f"127.0.0.1:{drover.admin_port}", stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT)
    said, _ = await asyncio.wait_for(restart.communicate(), 90)
    stop.set()
    await asyncio.gather(*tasks)
    return restart.returncode or 0, said.decode(), answers


def test_a_rolling_restart_renews_every_instance_and_no_client_notices() -> None:
    with Machine(options="--token-ms 3 --load-ms 50") as machine:
        drover = machine.serve("  spanning: never\n")
        before = set(machine.servers())
        code, said, answers = asyncio.run(_restart_all_under_load(drover))
        assert code == 0, said
        assert not before & set(machine.servers())
        assert all(each["process"]["restarts"] == 1 for each in drover.status()["instances"])
        failed = [each for each in answers if not each.complete]
        assert not failed, f"{len(failed)} of {len(answers)}: {failed[0].status} {failed[0].error}"

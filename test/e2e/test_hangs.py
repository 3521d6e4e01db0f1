"""A runner that hangs behind an HTTP port that still answers is replaced; one that works is not."""

from __future__ import annotations

import asyncio
import time

from asking import ask, ask_now, until, words
from fleet import Drover, http, wait_until
from measuring import Report
from supervised import Gpu, Machine, instance

REPLACED_SECONDS = 30.0  # with an idle GPU
BACK_SECONDS = 5.0  # the order, the stop, the start and the first check
HEALTHY_SECONDS = 35.0  # longer than a hang is waited for


def _idle(machine: Machine, utilization: int) -> None:
    machine.gpus = [Gpu(gpu.uuid, utilization=utilization) for gpu in machine.gpus]
    machine.write_gpus()


async def _replaced(port: int, drover: Drover) -> float:
    """Asks until somebody hangs; returns how long it took until that instance ran anew."""
    began = time.monotonic()
    hanging = asyncio.create_task(ask(port, "hello"))
    try:
        await until(lambda: any(each["process"]["restarts"] == 1
                                for each in drover.status()["instances"]),
                    "the hung instance was started anew", REPLACED_SECONDS + BACK_SECONDS)
        took = time.monotonic() - began
        outcome = await hanging  # it was moved, and nobody noticed but by the wait
        assert outcome.complete
        return took
    finally:
        hanging.cancel()


def test_a_hung_runner_on_an_idle_gpu_is_replaced_and_its_request_moved(report: Report) -> None:
    with Machine(gpus=2) as machine:
        drover = machine.serve("  spanning: never\npolicy: least_loaded\n")
        for _ in range(2):  # both have the model loaded
            assert ask_now(drover.port, "hello").complete
        _idle(machine, 0)
        # Generations hang for ever; /api/ps, /api/tags and every look at health go on.
        url = instance(drover, "gpu0")["url"]
        assert http(f"{url}/fake/fault", "POST", {"kind": "hang", "count": -1})[0] // 100 == 2
        # The request shall meet the one that hangs.
        http(f"{drover.admin}/api/v1/instances/gpu1/drain", "POST")
        wait_until(lambda: instance(drover, "gpu1")["health"] == "draining", "gpu1 is drained")

        async def scenario() -> float:
            task = asyncio.create_task(_replaced(drover.port, drover))
            await until(lambda: instance(drover, "gpu0")["in_flight"] == 1, "gpu0 has the request")
            await asyncio.to_thread(http, f"{drover.admin}/api/v1/instances/gpu1/undrain", "POST")
            return await task

        took = asyncio.run(scenario())
        report("hung runner on an idle GPU, until it was replaced", [took * 1000])
        assert took <= REPLACED_SECONDS + BACK_SECONDS
        assert drover.metric("drover_instance_hangs_total", backend="gpu0") == 1


def test_long_answers_and_long_prompts_are_left_alone_on_busy_gpus(full: bool) -> None:
    with Machine(gpus=1, options="--token-ms 30 --prefill-ms-per-kb 1000") as machine:
        drover = machine.serve()
        assert ask_now(drover.port, "hello").complete
        _idle(machine, 99)
        seconds = HEALTHY_SECONDS * (4 if full else 1)
        kilobytes = int(seconds)  # a second each
        prompt = "echo:" + words("long", kilobytes * 1024 // 8)
        outcome = asyncio.run(ask(drover.port, prompt, num_predict=20,
                                  options={"num_predict": 20}))
        assert outcome.complete, outcome.error
        assert instance(drover, "gpu0")["process"]["restarts"] == 0
        assert drover.metric("drover_instance_hangs_total") == 0

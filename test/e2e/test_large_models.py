"""A model that fits on no single GPU goes to the instance over all of them; the others make room."""

from __future__ import annotations

from asking import ask_now
from fleet import Drover, wait_until
from supervised import Machine, instance

OPTIONS = "--models small:2GB,middle:20GB,large:30GB,huge:90GB --vram 48GB --load-ms 100"


def _loaded(drover: Drover, name: str) -> list[str]:
    return [model["name"] for model in instance(drover, name)["loaded"] or []]


def test_a_model_for_two_gpus_spans_them_and_leaves_when_its_memory_is_needed() -> None:
    with Machine(gpus=2, options=OPTIONS) as machine:
        drover = machine.serve()
        small = ask_now(drover.port, "hello", model="small")
        assert small.headers["x-drover-backend"] in ("gpu0", "gpu1")

        large = ask_now(drover.port, "hello", model="large")
        assert large.complete, large.error
        assert large.headers["x-drover-backend"] == "all-gpus"
        wait_until(lambda: "large:latest" in _loaded(drover, "all-gpus"), "it is seen loaded")

        # 30 GB over two GPUs of 24 GiB leave no room for 20 GB on one of them.
        middle = ask_now(drover.port, "hello", model="middle")
        assert middle.complete, middle.error
        assert middle.headers["x-drover-backend"] in ("gpu0", "gpu1")
        wait_until(lambda: not _loaded(drover, "all-gpus"), "the large one has left")

        # And back: the middle one has to go for the large one.
        assert ask_now(drover.port, "hello", model="large").complete
        wait_until(lambda: "middle:latest" not in _loaded(drover, "gpu0") + _loaded(drover, "gpu1"),
                   "the middle one has left")
        assert drover.metric("drover_unloads_total") >= 2


def test_a_model_that_fits_nowhere_is_refused_with_the_remedy() -> None:
    with Machine(gpus=2, options=OPTIONS) as machine:
        drover = machine.serve()
        huge = ask_now(drover.port, "hello", model="huge")
        assert huge.status == 503
        assert huge.headers["x-should-retry"] == "false"
        assert "retry-after" not in huge.headers
        for word in ("huge", "93.2 GiB", "48.0 GiB", "smaller quantisation"):
            assert word in huge.error, huge.error
        assert all(not _loaded(drover, name) for name in ("gpu0", "gpu1", "all-gpus"))

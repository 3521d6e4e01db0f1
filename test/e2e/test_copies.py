"""Between stores: what one has fetched the others need not fetch, digests checked by each instance.

The simulated instances keep what they pull as small files, and count what they fetch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet import Drover, Fake, http, wait_until

MODEL = "copied"


class Stores:
    """Three instances with a directory each; drover can read the first one's."""

    def __init__(self, folder: Path, copies: str = "always") -> None:
        self.folders = [folder / name for name in "abc"]
        self.fakes: list[Fake] = []
        try:
            for store in self.folders:
                self.fakes.append(Fake(store.name, directory=store, token_ms=1))
            file = folder / "drover.yaml"
            backends = [f"  - {{url: {fake.url}, name: {fake.name}, models: {store}}}"
                        if fake.name == "a" else f"  - {{url: {fake.url}, name: {fake.name}}}"
                        for fake, store in zip(self.fakes, self.folders, strict=True)]
            file.write_text("\n".join([f"copy_between_stores: {copies}", "backends:", *backends]))
            self.drover = Drover(["--config", str(file), "--listen", "127.0.0.1:0",
                                  "--admin", "127.0.0.1:0"])
        except BaseException:
            self.stop_fakes()
            raise
        self.drover.wait_ready()
        wait_until(lambda: self.drover.metric("drover_backend_up") == 3, "every instance is up")

    def stop_fakes(self) -> None:
        for fake in self.fakes:
            fake.stop()

    def pull(self) -> list[dict[str, object]]:
        status, body = http(f"{self.drover.url}/api/pull", "POST", {"model": MODEL}, timeout=60)
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines()]

    def fetched(self) -> list[int]:
        return [int(fake.state()["fetched"]) for fake in self.fakes]

    def blobs(self, index: int) -> dict[str, bytes]:
        return {file.name: file.read_bytes()
                for file in (self.folders[index] / "blobs").iterdir()}


@contextmanager
def stores(folder: Path, copies: str = "always") -> Iterator[Stores]:
    made = Stores(folder, copies)
    try:
        yield made
    finally:
        crashed = made.drover.crashed()
        made.drover.stop()
        made.stop_fakes()
        assert not crashed, crashed


def expect_everywhere(made: Stores) -> None:
    for index, fake in enumerate(made.fakes):
        names = {model["name"] for model in json.loads(http(f"{fake.url}/api/tags")[1])["models"]}
        assert f"{MODEL}:latest" in names, fake.name
        assert made.blobs(index) == made.blobs(0)


def test_the_registry_is_asked_once_for_all_stores(tmp_path: Path) -> None:
    with stores(tmp_path) as made:
        lines = made.pull()
        assert lines[-1] == {"status": "success"}
        first, *others = made.fetched()
        assert first > 1_000_000 and others == [0, 0]
        expect_everywhere(made)
        assert made.drover.metric("drover_model_bytes_copied_total") == 2 * first
        parts: dict[str, list[dict[str, int]]] = {}
        for line in lines:
            if "digest" in line:
                parts.setdefault(str(line["digest"]), []).append(line)  # type: ignore[arg-type]
        assert len(parts) == 2
        assert sum(part[-1]["total"] for part in parts.values()) == 3 * first
        for part in parts.values():
            arrived = [line.get("completed", 0) for line in part]
            assert arrived == sorted(arrived) and arrived[-1] == part[-1]["total"]


def test_nothing_is_copied_unless_it_is_wanted(tmp_path: Path) -> None:
    with stores(tmp_path, "never") as made:
        made.pull()
        assert len(set(made.fetched())) == 1
        assert made.drover.metric("drover_model_bytes_copied_total") == 0


def test_a_damaged_file_is_refused_and_fetched_instead(tmp_path: Path) -> None:
    with stores(tmp_path) as made:
        made.pull()
        for fake in made.fakes[1:]:
            assert http(f"{fake.url}/api/delete", "DELETE", {"model": MODEL})[0] == 200
        for index in (1, 2):
            for blob in (made.folders[index] / "blobs").iterdir():
                blob.unlink()
        largest = max((made.folders[0] / "blobs").iterdir(), key=lambda file: file.stat().st_size)
        whole = largest.read_bytes()
        largest.write_bytes(b"damaged" + whole[7:])
        lines = made.pull()
        largest.write_bytes(whole)
        assert lines[-1] == {"status": "success"}
        # The configuration, which comes first, was copied; only the damaged part was not.
        assert made.fetched()[1:] == [len(whole), len(whole)]
        expect_everywhere(made)
        said = made.drover.wait_line("model is fetched again instead of copied").string
        assert "digest mismatch" in said, said


def test_a_store_that_takes_no_blobs_fetches_for_itself(tmp_path: Path) -> None:
    with stores(tmp_path) as made:
        made.fakes[1].fault("reset", match="/api/blobs", count=-1)
        made.pull()
        assert made.fetched()[1] == made.fetched()[0]
        assert made.fetched()[2] == 0
        expect_everywhere(made)

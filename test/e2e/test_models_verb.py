"""`drover models sync` in front of a whole daemon: what the configuration wants is there afterwards."""

from __future__ import annotations

import json
import subprocess

from fleet import CHAT_MODEL, Fake, Fleet, binary, http, wait_until

CONFIG = f"""\
models:
  - {{name: wanted, copies: all}}
  - {{name: {CHAT_MODEL}, preload: 1}}
"""


def models(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binary("drover")), "models", *words, "--admin",
                           f"127.0.0.1:{fleet.drover.admin_port}"],
                          capture_output=True, text=True, timeout=60, check=False)


def has(fake: Fake, model: str) -> bool:
    tags = json.loads(http(f"{fake.url}/api/tags")[1])
    return model in [each["name"] for each in tags["models"]]


def test_sync_makes_it_so_and_says_what_it_did() -> None:
    with Fleet(3, config=CONFIG, token_ms=1, load_ms=10) as fleet:
        done = models(fleet, "sync")
        assert done.returncode == 0, done.stderr
        assert "wanted: pulled" in done.stdout and f"{CHAT_MODEL}: loaded" in done.stdout
        assert all(has(fake, "wanted:latest") for fake in fleet.fakes)
        loaded = [fake for fake in fleet.fakes if CHAT_MODEL in fake.state()["loaded"]]
        assert len(loaded) == 1
        # What is loaded is looked at every two seconds.
        wait_until(lambda: models(fleet, "sync").stdout.count("is as it shall be") == 2,
                   "nothing is missing any more")
        as_json = models(fleet, "sync", "--json")
        assert json.loads(as_json.stdout) == {"done": ["wanted", CHAT_MODEL]}


def test_sync_that_fails_says_where_and_a_repeat_mends_it() -> None:
    with Fleet(2, config=CONFIG, token_ms=1) as fleet:
        fleet.fakes[1].fault("error_mid", match="/api/pull")
        failed = models(fleet, "sync")
        assert failed.returncode == 1
        assert "no space left on device" in failed.stderr, failed.stderr
        assert fleet.fakes[1].url.removeprefix("http://") in failed.stderr, failed.stderr
        assert not has(fleet.fakes[1], "wanted:latest")
        assert models(fleet, "sync").returncode == 0
        assert has(fleet.fakes[1], "wanted:latest")


def test_without_a_list_there_is_nothing_to_do() -> None:
    with Fleet(1) as fleet:
        done = models(fleet, "sync")
        assert done.returncode == 0
        assert "says nothing of models" in done.stdout

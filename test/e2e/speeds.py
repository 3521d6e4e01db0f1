"""How fast the simulated instances work, by what a test wants to see."""

from __future__ import annotations

from typing import Any

# Everything at once: what is measured is drover.
FAST: dict[str, Any] = {"parallel": 64, "token_ms": 1, "load_ms": 1, "prefill_ms_per_kb": 0}
# Answers that last long enough to be interrupted.
STEADY: dict[str, Any] = {**FAST, "token_ms": 10}
# Of 67 requests at one instance half get content while the others wait for a slot.
BUSY: dict[str, Any] = {**FAST, "parallel": 32, "token_ms": 25}

SLOW_LOAD: dict[str, Any] = {"load_ms": 600_000}
SLOW_PREFILL: dict[str, Any] = {"prefill_ms_per_kb": 60_000}

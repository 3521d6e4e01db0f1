"""Times that are measured and told, not only judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Spread:
    """Times in milliseconds, sorted."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = sorted(values)

    def quantile(self, share: float) -> float:
        return self.values[min(len(self.values) - 1, int(share * len(self.values)))]

    @property
    def p50(self) -> float:
        return self.quantile(0.50)

    @property
    def p99(self) -> float:
        return self.quantile(0.99)

    def __str__(self) -> str:
        return (f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, max {self.values[-1]:.1f} ms "
                f"of {len(self.values)}")


# report(name, milliseconds) keeps a line for the end of the run and returns the spread.
Report = Callable[[str, Sequence[float]], Spread]

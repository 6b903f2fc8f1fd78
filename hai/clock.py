"""What time it is. The one thing that tests may replace.

`now_ms` is for what people see and what is stored; `monotonic_s` is for
deadlines and heartbeats, because the wall clock may jump an hour either way.
"""

import time


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def monotonic_s() -> float:
    """Seconds that never run backwards, from an arbitrary start."""
    return time.monotonic()

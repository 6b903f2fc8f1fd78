"""How long writes wait while another program holds SQLite's write lock.

Promise: a write waits for it at most BUSY_TIMEOUT_MS, counted from when it was queued.
Writes that queue up behind a batch that waits in vain have waited with it: once a wait
has timed out, each batch only tries for BRIEF_TIMEOUT_MS until the lock is free.
"""

import time

from peewee import DatabaseError, SqliteDatabase

from hai.storage.sqlite import faults

BUSY_TIMEOUT_MS = 5_000  # for another process: an open shell, a repair
BRIEF_TIMEOUT_MS = 100  # another program's short transaction may be over by then


class WriteLock:
    """For the writer's connection. Writer thread only."""

    def __init__(self, engine: SqliteDatabase) -> None:
        self.engine = engine
        self._timeout_ms = BUSY_TIMEOUT_MS  # as the connection was opened
        self._has_timed_out = False

    def begin(self, queued_s: float) -> None:
        """Begin a transaction for writes, the oldest queued at `queued_s` (monotonic).

        Raises DatabaseError, also when the lock was not free in time.
        """
        self._set_timeout(0)  # without a PRAGMA, as long as nobody has to wait
        try:
            self.engine.execute_sql("BEGIN IMMEDIATE")
        except DatabaseError as error:
            if not faults.is_locked(error):
                raise
            self.allow_wait(queued_s)
            self._has_timed_out = True
            self.engine.execute_sql("BEGIN IMMEDIATE")
        self._has_timed_out = False

    def allow_wait(self, queued_s: float) -> None:
        """Let SQLite wait for locks for what is left of the time."""
        left_ms = BUSY_TIMEOUT_MS - int((time.monotonic() - queued_s) * 1000)
        if self._has_timed_out:
            left_ms = 0
        self._set_timeout(max(BRIEF_TIMEOUT_MS, left_ms))

    def _set_timeout(self, timeout_ms: int) -> None:
        if timeout_ms != self._timeout_ms:
            self.engine.execute_sql(f"PRAGMA busy_timeout = {timeout_ms}")
            self._timeout_ms = timeout_ms

"""Child processes: held by a handle that is theirs alone, and ended by it.

Not by `process.kill()` of asyncio: that looks for the exit status, too, and takes it
away from asyncio's own watcher when the process has just ended by itself. Nor by the
process id, which may be another process's by then.
"""

import contextlib
import os
import signal


def hold(pid: int) -> int | None:
    """A handle of the child that was just started.

    None: it is over already, and asyncio has its exit status. A busy loop comes late to
    a quick child; what it has written is in the pipe all the same.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def end(handle: int | None) -> None:
    """Kill the child, if it still runs, and close the handle."""
    if handle is None:
        return
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)

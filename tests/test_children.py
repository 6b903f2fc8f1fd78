"""Children are held by a handle of their own, also those that were quicker than we."""

import asyncio
import os
import signal
import sys

import pytest

from hai import children

QUICK = "print('here')"
ENDLESS = "while True: pass"


async def start(program):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )


async def test_a_child_that_is_over_has_no_handle_and_has_answered():
    child = await start(QUICK)
    await child.wait()
    handle = children.hold(child.pid)
    assert handle is None
    children.end(handle)
    assert await child.stdout.read() == b"here\n"


async def test_a_child_that_runs_is_ended():
    child = await start(ENDLESS)
    children.end(children.hold(child.pid))
    assert await child.wait() == -signal.SIGKILL


async def test_a_handle_is_closed_also_where_its_child_is_over():
    child = await start(ENDLESS)
    handle = children.hold(child.pid)
    child.terminate()
    await child.wait()
    children.end(handle)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)

"""Tells the operator whether decoders are confined here: it depends on the kernel, and
on what Hai is run in.

A process confined like a decoder tries what it must not be able to do. It is asked at
the start of a server, and by `/healthz?deep`.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE

from hai import children
from hai.core.context import Core
from hai.core.pictures import confinement
from hai.paths import ROOT

logger = logging.getLogger(__name__)

ANSWER_S = 60.0  # 30 ms, or much longer on a busy small board
DENIED = ("files", "network", "processes")  # what decoders must not have


async def check(core: Core) -> dict[str, bool]:
    """What decoders are denied here, by name. Asked once; a task may be cancelled."""
    if core.confinement is None:
        said = await _ask()
        core.confinement = {name: name in said for name in DENIED}
    return core.confinement


async def report(core: Core) -> None:
    """One line in the log."""
    denied = await check(core)
    if missing := [name for name, is_denied in denied.items() if not is_denied]:
        logger.warning("pictures are decoded with access to: %s", ", ".join(missing))
    else:
        logger.info("pictures are decoded without access to %s", ", ".join(denied))


async def _ask() -> list[str]:
    """The words that the process says; none if it could not be confined."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-S", "-m", confinement.__name__),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    handle = children.hold(process.pid)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ANSWER_S):
            said = await process.stdout.read()
            return said.decode().split()
    except TimeoutError:
        return []
    finally:
        children.end(handle)
        await process.wait()

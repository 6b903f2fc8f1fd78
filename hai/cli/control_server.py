"""The server's side of control.py: answers commands on the Unix socket.

Standard library only, and on the loop: an action is a coroutine like any order.
"""

import asyncio
import contextlib
import inspect
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from hai.cli.control import SOCKET_NAME, Actions, socket_path
from hai.core.context import Core
from hai.errors import BadRequest, Busy, HaiError

logger = logging.getLogger(__name__)

LINE_BYTES = 16 * 1024 * 1024  # 100,000 names for one `users token`


@contextlib.asynccontextmanager
async def serve_control(
    core: Core, folder: Path, actions: Actions
) -> AsyncIterator[None]:
    """Answer commands while the block runs. The caller holds the folder's lock."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            line = await reader.readline()
            writer.write(await _answer_line(core, actions, line))
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(
        answer, sock=_listen(folder), limit=LINE_BYTES
    )
    try:
        yield
    finally:
        server.close()
        (folder / SOCKET_NAME).unlink(missing_ok=True)


def _listen(folder: Path) -> socket.socket:
    """Bind a new socket; one that a killed server left behind is replaced."""
    (folder / SOCKET_NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    os.fchmod(listener.fileno(), 0o600)  # before bind: never open to others
    with socket_path(folder) as path:
        listener.bind(path)
    return listener


async def _answer_line(core: Core, actions: Actions, line: bytes) -> bytes:
    try:
        answer = {"result": await _run(core, actions, line)}
    except HaiError as error:
        answer = {"error": error.as_dict()}
    except Exception:
        logger.exception("a command failed")
        answer = {"error": Busy("The server could not do that; see its log.").as_dict()}
    return json.dumps(answer).encode() + b"\n"


async def _run(core: Core, actions: Actions, line: bytes) -> Any:
    try:
        order = json.loads(line)
        action, arguments = actions[order["action"]], dict(order["arguments"])
        inspect.signature(action).bind(core, **arguments)
    except (ValueError, KeyError, TypeError):
        raise BadRequest("This server does not know that command.") from None
    return await action(core, **arguments)

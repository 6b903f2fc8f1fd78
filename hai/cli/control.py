"""How commands reach a community: through the running server, or by themselves.

A server listens on the Unix socket `hai.sock` in its data folder (mode 0600: who may
read the database may command it) and holds the lock `hai.lock`. A command asks over
the socket; where nobody listens it takes the lock, so that no server starts meanwhile,
and opens the database itself. Either way the same function of `ACTIONS` runs, and what
it changed is told to every connected client.

One JSON line goes in, {"action", "arguments"}; one comes out, {"result"} or {"error"}.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hai.app import open_core
from hai.config import Config
from hai.errors import Busy, HaiError, all_errors
from hai.storage.sqlite.faults import Unusable

logger = logging.getLogger(__name__)

Action = Callable[..., Awaitable[Any]]
Actions = Mapping[str, Action]

SOCKET_NAME = "hai.sock"
LOCK_NAME = "hai.lock"
PATIENCE_S = 30  # for a server that is just starting or stopping
RETRY_S = 0.05
ANSWER_S = 600  # 100,000 names for one `users token` take minutes
LONG_ACTIONS = {"backup", "seed"}  # minutes or hours; it ends when the server does
PATH_BYTES = 107  # the longest socket path that Linux takes


def perform(config: Config, actions: Actions, action: str, /, **given: Any) -> Any:
    """Run `actions[action](core, **given)` where the community is; return its result.

    Raises the HaiError that the action raised, wherever it ran; Busy when another
    process holds the data folder and does not answer; Unusable.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _ask_server(config.data, action, given)
        except (FileNotFoundError, ConnectionRefusedError):
            pass  # nobody listens
        except PermissionError as error:
            raise unusable(config.data, error) from error
        with contextlib.suppress(BlockingIOError), folder_lock(config.data):
            return asyncio.run(_by_itself(config, actions[action], given))
        if time.monotonic() > deadline:
            raise Busy(f"Another process holds {config.data} and does not answer.")
        time.sleep(RETRY_S)


async def _by_itself(config: Config, action: Action, given: dict[str, Any]) -> Any:
    async with open_core(config) as core:
        return await action(core, **given)


def _ask_server(folder: Path, action: str, given: dict[str, Any]) -> Any:
    order = json.dumps({"action": action, "arguments": given}) + "\n"
    with socket.socket(socket.AF_UNIX) as connection, socket_path(folder) as path:
        connection.settimeout(None if action in LONG_ACTIONS else ANSWER_S)
        connection.connect(path)
        try:
            connection.sendall(order.encode())
            with connection.makefile("r", encoding="utf-8") as answers:
                line = answers.readline()
        except TimeoutError:
            raise Busy(f"The server did not answer in {ANSWER_S:g} s.") from None
        except ConnectionError:
            line = ""
    if not line:
        raise Busy("The server stopped before it answered.")
    answer = json.loads(line)
    if "error" in answer:
        raise _hai_error(**answer["error"])
    return answer["result"]


def _hai_error(
    code: str, message: str, details: Mapping[str, Any] | None = None
) -> HaiError:
    """Make the server's error object an exception again."""
    classes: dict[str, type[HaiError]] = {error.code: error for error in all_errors()}
    return classes.get(code, HaiError)(message, **(details or {}))


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Make the data folder, if need be, and hold it for this process.

    The kernel lets go of it when the process dies, however it dies.
    Raises BlockingIOError when another holds it, Unusable when nobody can.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / LOCK_NAME
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(folder, error) from error
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def server_lock(folder: Path) -> Iterator[None]:
    """The same for a server, which waits for a command that is at work there.

    Raises BlockingIOError when another server serves it.
    """
    with contextlib.ExitStack() as held:
        is_said = False
        while True:
            try:
                held.enter_context(folder_lock(folder))
                break
            except BlockingIOError:
                if _is_served(folder):
                    raise
            if not is_said:
                logger.warning("waiting for another process that uses %s", folder)
                is_said = True
            time.sleep(RETRY_S)
        yield


def _is_served(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection, socket_path(folder) as path:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        raise unusable(folder, error) from error


def unusable(folder: Path, error: OSError) -> Unusable:
    """The one line for the operator."""
    return Unusable(f"{folder} cannot be used: {error.strerror}")


@contextlib.contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """Give the socket's path in a form that is short enough for the kernel."""
    path = str(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= PATH_BYTES:
        yield path
        return
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)

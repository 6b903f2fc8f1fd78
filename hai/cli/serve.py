"""`run.py serve`, or no command at all: serve until told to stop.

Prints the address (and, on first run, the one-time link to set Hai up) on standard
output; everything else goes to the log on standard error.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from hai.app import make_app
from hai.cli.actions import ACTIONS
from hai.cli.control import server_lock
from hai.cli.control_server import serve_control
from hai.config import Config, ConfigError
from hai.core.people import accounts
from hai.core.pictures import decoders

logger = logging.getLogger(__name__)

NO_PUBLIC_URL = (
    "trusted_proxies is set, but public_url is not: links to Hai can be made only from"
    " this machine and at allowed_hosts"
)


def configure(add: Any, name: str) -> None:
    add(name, "serve (also without a command)").set_defaults(run=run)


def run(config: Config, arguments: argparse.Namespace) -> int:
    logger.info("settings: %s", config.as_dict())
    if config.trusted_proxies and not config.public_url:
        logger.warning(NO_PUBLIC_URL)
    _raise_file_limit()
    try:
        with server_lock(config.data):
            with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
                return runner.run(_serve(config))
    except BlockingIOError:
        print(f"Another Hai serves {config.data}.", file=sys.stderr)
    except OSError as error:
        print(f"Hai cannot start: {error}", file=sys.stderr)
    return 1


def _raise_file_limit() -> None:
    """Each socket is a file, and most systems start programs with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(config: Config) -> int:
    app = make_app(config)
    await app.start()
    told = _listen_for_stop()
    try:
        async with serve_control(app.core, config.data, ACTIONS):
            if accounts.needs_set_up(app.core):
                link = f"{app.url}/setup?token={app.core.set_up_token}"
                print(f"Make the first account, once: {link}")
            print(f"Hai is at {app.url}", flush=True)
            await decoders.report(app.core)
            await _wait_for_any(told, app.core.db.failed)
    finally:
        logger.info("stopping")
        await app.stop()
    if app.core.db.failed.is_set():
        print(f"Hai stopped: {config.database_path} failed.", file=sys.stderr)
        if app.core.db.has_lost_file:
            _leave_at_once(3)
        return 3
    return 0


def _leave_at_once(code: int) -> None:
    """The interpreter's end would close the files, which SQLite must not."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _listen_for_stop() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, of which a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def stop() -> None:
        told.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return told


async def _wait_for_any(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _loop_factory(config: Config) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop is an extra, loaded only where it is asked for."""
    if config.loop == "asyncio":
        return None
    with contextlib.suppress(ImportError):
        factory: Callable[[], asyncio.AbstractEventLoop]
        factory = import_module("uvloop").new_event_loop
        return factory
    raise ConfigError(["--loop: 'uvloop': is not installed; pip install uvloop"])

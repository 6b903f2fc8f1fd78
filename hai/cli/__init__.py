"""The commands: parse, do one thing, print, exit code.

One thin module per command; each says in `configure` what it takes and sets `run`,
a function of (config, arguments) that returns the exit code. Commands that change or
ask a community go through control.py, which finds the running server or, without
one, opens the data folder itself. Flags of settings may follow any command.

Exit codes: 0 done, 1 refused or failed, 2 bad flags, settings or arguments, 3 the
database cannot be used, 4 `verify` found nothing wrong, but could not look at all.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from hai.cli import lean

with lean.imports():
    from hai import __version__
    from hai.config import SETTINGS, ConfigError, Setting, load
    from hai.errors import HaiError
    from hai.storage.sqlite.faults import Unusable

COMMANDS = (  # each is a module here
    *("serve", "users", "rooms", "invite", "seed"),
    *("backup", "restore", "verify", "bench", "check"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    os.umask(0o077)  # what is in the data folder is for its owner only
    arguments = build_parser(_needed(argv)).parse_args(argv)
    try:
        config = load(vars(arguments), os.environ)
        return int(arguments.run(config, arguments))
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except HaiError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1
    except Unusable as error:
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell reports SIGINT


def _needed(argv: Sequence[str] | None) -> Sequence[str]:
    """The command that is named, serve without one; all for help and errors.

    The others are not loaded: a server would carry 1.2 MiB of them.
    """
    parser = argparse.ArgumentParser(
        parents=[settings_parser()],
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    try:
        others = parser.parse_known_args(argv)[1] or ["serve"]
    except argparse.ArgumentError:
        return COMMANDS
    return others[:1] if others[0] in COMMANDS else COMMANDS


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of these commands."""
    flags = settings_parser()
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Hai: send each other short texts and pictures. "
        "Without a command it serves.",
        epilog="Each setting is a flag, which may follow any command, and a variable: "
        "--data is HAI_DATA.",
        parents=[flags],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name in names:
        with lean.imports():
            module = import_module(f"hai.cli.{name}")
        module.configure(CommandAdder(commands, flags), name)
        if name == "serve":
            parser.set_defaults(run=module.run)
    return parser


def settings_parser() -> argparse.ArgumentParser:
    """Return the flags of all settings. Their values stay text; load checks them."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("settings")
    for setting in SETTINGS:
        group.add_argument(
            setting.flag,
            metavar=setting.unit.upper().replace(" ", "") or "VALUE",
            # SUPPRESS: a flag before the command is not reset by one after it.
            default=argparse.SUPPRESS,
            help=_help(setting),
        )
    return parser


def _help(setting: Setting) -> str:
    default = setting.default or "none"
    return f"{setting.help} ({setting.variable}; default: {default})".replace("%", "%%")


class CommandAdder:
    """Adds parsers that take the settings' flags too."""

    def __init__(self, commands: Any, flags: argparse.ArgumentParser) -> None:
        self.commands = commands
        self.flags = flags

    def __call__(self, name: str, help: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = self.commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            allow_abbrev=False,
            parents=[self.flags],
        )
        return parser

    def below(self, parser: argparse.ArgumentParser) -> "CommandAdder":
        """Return the adder of this command's own commands, one of which it needs."""
        commands = parser.add_subparsers(metavar="ACTION", required=True)
        return CommandAdder(commands, self.flags)

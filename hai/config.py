"""Every setting in one table, and the frozen `Config` built from it.

A setting has a flag (`--max-text-chars`), an environment variable
(`HAI_MAX_TEXT_CHARS`) and one row in `SETTINGS`. Flags win over the
environment, the environment over the default. All bad values are reported at
once, so that nobody has to start the server once for each.
"""

import ipaddress
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hai.units import MIB

logger = logging.getLogger(__name__)

PREFIX = "HAI_"
CONTACT = re.compile(r"(mailto:[^\s@]+@[^\s@]+|https://[^\s/]\S*|tel:\+[0-9-]+)")
HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")  # a name, an IPv4 or IPv6 address


class ConfigError(Exception):
    """`problems` holds one sentence per bad value."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked. Nothing in Hai reads the environment elsewhere."""

    address: str
    port: int
    data: Path
    public_url: str
    trusted_proxies: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    sign_up: str
    session_unseen_days: int
    session_days: int
    second_factor: str
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret_file: Path | None
    oidc_sign_up_domains: tuple[str, ...]
    oidc_sign_up_groups: tuple[str, ...]
    durability: str
    loop: str
    max_picture_bytes: int
    max_video_bytes: int
    max_voice_bytes: int
    max_bytes_per_user: int
    max_bytes_in_all: int
    min_free_bytes: int
    max_text_chars: int
    ping_interval_s: float
    ping_timeout_s: float
    rate_limits: bool
    cache_bytes: int
    max_sockets_per_address: int
    hsts: str
    security_contact: str

    @property
    def database_path(self) -> Path:
        return self.data / "hai.db"

    @property
    def max_upload_bytes(self) -> int:
        """For one file, before its type is known."""
        return max(self.max_picture_bytes, self.max_video_bytes, self.max_voice_bytes)

    def as_dict(self) -> dict[str, object]:
        """For the log: no setting is a secret."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: `parse` turns text into the value or raises ValueError."""

    name: str
    parse: Callable[[str], Any]
    default: str
    unit: str
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be {low} to {high}")
        return value

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:  # also refuses nan
            raise ValueError(f"must be {low:g} to {high:g}")
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("must be one of " + ", ".join(choices))
        return text

    return parse


def _on_off(text: str) -> bool:
    return _one_of("on", "off")(text) == "on"


def _web_url(text: str) -> str:
    """Scheme and host only: Hai lives at the root of its host."""
    if not text:
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must look like https://hai.example.org")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must have no path: Hai lives at the root of its host")
    return f"{parts.scheme}://{parts.netloc}"


def _issuer(text: str) -> str:
    """As the provider writes it, to the letter. http only on this machine."""
    if not text:
        return text
    parts = urlsplit(text)
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ValueError("must begin with https://")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must look like https://login.example.org")
    return text


def _file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise ValueError("there is no such file")
    return Path(text) if text else None


def _names(text: str) -> tuple[str, ...]:
    """Between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _networks(text: str) -> tuple[str, ...]:
    """Addresses and networks, between commas: 127.0.0.1,10.0.0.0/8."""
    networks = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(str(ipaddress.ip_network(part)) for part in networks)


def _hosts(text: str) -> tuple[str, ...]:
    """Names and addresses, between commas: hai.local,192.168.1.5."""
    hosts = [part.strip().lower() for part in text.split(",") if part.strip()]
    for host in hosts:
        if not HOST.fullmatch(host):
            raise ValueError("must look like hai.local,192.168.1.5: no scheme, no port")
    return tuple(hosts)


def _contact(text: str) -> str:
    """For security.txt, so one line."""
    if text and not CONTACT.fullmatch(text):
        raise ValueError("must look like mailto:ada@example.org or https://...")
    return text


SETTINGS: tuple[Setting, ...] = (
    Setting("address", str, "127.0.0.1", "", "address to listen on"),
    Setting("port", _whole(0, 65535), "8888", "", "port; 0 takes a free one"),
    Setting("data", Path, "data", "", "folder that holds hai.db"),
    Setting("public_url", _web_url, "", "", "where people reach Hai"),
    Setting(
        "trusted_proxies",
        _networks,
        "",
        "",
        "proxies whose X-Forwarded-For and -Proto count",
    ),
    Setting(
        "allowed_hosts", _hosts, "", "", "other hosts by which people may reach Hai"
    ),
    Setting(
        "sign_up", _one_of("invite", "open", "closed"), "invite", "", "who may join"
    ),
    Setting(
        "session_unseen_days",
        _whole(1, 3650),
        "30",
        "days",
        "a browser not seen for so long is signed out",
    ),
    Setting(
        "session_days",
        _whole(1, 3650),
        "180",
        "days",
        "after so long everybody signs in anew",
    ),
    Setting(
        "second_factor",
        _one_of("off", "admins", "all"),
        "off",
        "",
        "who must have one: off leaves it to each person",
    ),
    Setting("oidc_issuer", _issuer, "", "", "people may sign in there: OpenID Connect"),
    Setting("oidc_client_id", str, "", "", "how Hai is known there"),
    Setting("oidc_client_secret_file", _file, "", "", "file with the secret for that"),
    Setting(
        "oidc_sign_up_domains",
        _names,
        "",
        "",
        "of verified mail addresses with which people may join",
    ),
    Setting(
        "oidc_sign_up_groups", _names, "", "", "groups there whose people may join"
    ),
    Setting(
        "durability",
        _one_of("full", "normal"),
        "full",
        "",
        "full: an acked hai survives power loss",
    ),
    Setting("loop", _one_of("asyncio", "uvloop"), "asyncio", "", "event loop"),
    Setting(
        "max_picture_bytes",
        _whole(1024, 2**40),
        str(50 * MIB),
        "bytes",
        "largest picture",
    ),
    Setting(
        "max_video_bytes",
        _whole(1024, 2**40),
        str(200 * MIB),
        "bytes",
        "largest video",
    ),
    Setting(
        "max_voice_bytes",
        _whole(1024, 2**40),
        str(25 * MIB),
        "bytes",
        "largest voice",
    ),
    Setting(
        "max_bytes_per_user",
        _whole(0, 2**53),
        "0",
        "bytes",
        "pictures of one user; 0: no limit",
    ),
    Setting(
        "max_bytes_in_all",
        _whole(0, 2**53),
        "0",
        "bytes",
        "the database with all pictures; 0: no limit",
    ),
    Setting(
        "min_free_bytes",
        _whole(0, 2**53),
        str(256 * MIB),
        "bytes",
        "of the disk: kept for text, pictures are refused below",
    ),
    Setting("max_text_chars", _whole(1, 100_000), "4000", "characters", "longest text"),
    Setting("ping_interval_s", _seconds(0.05, 3600), "25", "s", "between pings"),
    Setting("ping_timeout_s", _seconds(0.05, 3600), "20", "s", "wait for a pong"),
    Setting(
        "cache_bytes",
        _whole(0, 2**40),
        str(16 * MIB),
        "bytes",
        "hais and pages kept in memory; 0: none",
    ),
    Setting("rate_limits", _on_off, "on", "on, off", "limits per user and address"),
    Setting(
        "max_sockets_per_address",
        _whole(0, 1_000_000),
        "0",
        "sockets",
        "0: no limit",
    ),
    Setting(
        "hsts",
        _one_of("on", "off", "subdomains"),
        "on",
        "",
        "tell browsers that came by https to use nothing else",
    ),
    Setting(
        "security_contact",
        _contact,
        "",
        "",
        "whom to tell of a security problem: mailto:... or https://...",
    ),
)


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Config:
    """Build the configuration; flags are named like settings, None means not given.

    Raises ConfigError with every bad value. Warns of unknown HAI_ variables.
    """
    _warn_of_unknown(environment)
    problems: list[str] = []
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        given = flags.get(setting.name)
        source = setting.flag
        if given is None:
            given, source = environment.get(setting.variable), setting.variable
        text = setting.default if given is None else given
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            problems.append(f"{source}: {text!r}: {error}")
    if values.get("oidc_issuer") and not values.get("oidc_client_id"):
        problems.append("--oidc-issuer: needs --oidc-client-id, too")
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _warn_of_unknown(environment: Mapping[str, str]) -> None:
    known = {setting.variable for setting in SETTINGS}
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            logger.warning("unknown setting %s is ignored", variable)

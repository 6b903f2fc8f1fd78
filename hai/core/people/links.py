"""Where the links lead that people send one another: invites, new passwords.

A Host header is what a client says. A link made from a wrong one would lead to a
stranger's site, with a secret in it; so it counts only if it cannot be that.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from hai import errors
from hai.config import Config
from hai.core import origin
from hai.core.origin import Headers

UNKNOWN = (
    "Hai does not know its own address, so it can make no links. Whoever runs it sets"
    " public_url, or adds this host to allowed_hosts."
)


def find_origin(config: Config, headers: Headers, peer: str) -> str | None:
    """`scheme://host[:port]` for links; None if it is not known."""
    if config.public_url:
        return config.public_url
    own = urlsplit(origin.own_origin(config, headers, peer))
    try:
        host, port = own.hostname or "", own.port
    except ValueError:
        return None
    if not (host in config.allowed_hosts or is_this_machine(host)):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{own.scheme}://{shown}" + (f":{port}" if port else "")


def get_origin(config: Config, headers: Headers, peer: str) -> str:
    """The same. Raises Misdirected if it is not known."""
    found = find_origin(config, headers, peer)
    if found is None:
        raise errors.Misdirected(UNKNOWN)
    return found


def is_this_machine(host: str) -> bool:
    """Whether it is loopback, or an address of one of our network interfaces."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    return address.is_loopback or _can_bind(str(address), address.version)


def _can_bind(address: str, version: int) -> bool:
    """The kernel lets a socket have an address of its own machine only."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True

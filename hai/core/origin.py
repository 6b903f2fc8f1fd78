"""Where a request comes from: own origin, cross-site check, address behind proxies.

Shared by the edges, so it knows no framework: `headers` is any mapping whose `get`
ignores case, `peer` is the address of the other end of the connection. `X-Forwarded-*`
counts only when the peer is one of `trusted_proxies`.
"""

import ipaddress
import logging
import time
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from hai.config import Config

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SAY_EVERY_S = 60.0  # about all that do not fit: anybody may send any Origin
SHOWN_CHARS = 200  # of what somebody sent
MAX_FORWARDS = 20  # proxies in a row; a longer list is not genuine


logger = logging.getLogger(__name__)


class Headers(Protocol):
    def __contains__(self, name: object, /) -> bool: ...
    def get(self, name: str, default: str, /) -> str: ...


def own_origin(config: Config, headers: Headers, peer: str) -> str:
    """`scheme://host[:port]` at which this request reached Hai.

    `public_url` if it is set, otherwise (and for `allowed_hosts`) the Host header, or
    what a trusted proxy reports.
    """
    host = _asked_host(config, headers, peer)
    if config.public_url and _name(host) not in config.allowed_hosts:
        return config.public_url
    scheme = "http"
    if is_trusted(config, peer):
        scheme = _last(headers.get("X-Forwarded-Proto", "")) or scheme
    return f"{scheme}://{host}"


def is_misdirected(config: Config, headers: Headers, peer: str) -> bool:
    """Whether Hai has a `public_url`, and this request is for another host.

    A proxy may call Hai by a name that only the two know, as nginx does by default.
    """
    if not config.public_url:
        return False
    host = _asked_host(config, headers, peer)
    if _is_for(config.public_url, host) or _name(host) in config.allowed_hosts:
        return False
    is_inner = "X-Forwarded-Host" not in headers and _is_inner(_name(host))
    return not (is_inner and is_trusted(config, peer))


def _asked_host(config: Config, headers: Headers, peer: str) -> str:
    """Host, or the one that a trusted proxy was asked for."""
    host = headers.get("Host", "")
    if is_trusted(config, peer):
        return _last(headers.get("X-Forwarded-Host", "")) or host
    return host


@lru_cache(maxsize=1024)
def _name(host: str) -> str:
    """Without the port."""
    place = _place(f"http://{host}", True)
    return place[1] if place else ""


def _is_inner(name: str) -> bool:
    """An address, or a name without a domain: nobody's site on the internet."""
    return "." not in name or bool(_address(name))


def came_by_https(config: Config, headers: Headers, peer: str) -> bool:
    """Whether the client's request came by https, as far as that is known.

    A trusted proxy says so; one that says nothing serves `public_url`.
    """
    said = _last(headers.get("X-Forwarded-Proto", ""))
    if said and is_trusted(config, peer):
        return said.lower() == "https"
    return config.public_url.startswith("https:") and _is_for(
        config.public_url, headers.get("Host", "")
    )


@lru_cache(maxsize=1024)
def _is_for(url: str, host: str) -> bool:
    """Whether a Host header names the place of this URL."""
    scheme = urlsplit(url).scheme
    return _place(f"{scheme}://{host}", True) == _place(url, True)


def is_cross_site(config: Config, headers: Headers, peer: str) -> bool:
    """Whether, according to the browser, another site's page made this request.

    That is a foreign Origin, or `Sec-Fetch-Site: cross-site`. A missing Origin passes,
    since every browser sends one and programs carry no cookies.
    """
    if headers.get("Sec-Fetch-Site", "") == "cross-site":
        return True
    origin = headers.get("Origin", "")
    return bool(origin) and not is_own(
        origin, config, own_origin(config, headers, peer)
    )


def is_own(origin: str, config: Config, own: str) -> bool:
    """Whether an origin that a browser names is `own`, as `own_origin` returns it."""
    # Without public_url a proxy may have ended TLS: the scheme is not known.
    with_scheme = own == config.public_url
    place = _place(origin, with_scheme)
    return place is not None and place == _place(own, with_scheme)


class Misfits:
    """Tells the operator, once a minute, of a page that is perhaps Hai's own and whose
    Origin is not what Hai takes for its own: mostly a web server that changes Host."""

    def __init__(self) -> None:
        self._say_at_s = 0.0

    def tell(self, config: Config, headers: Headers, peer: str) -> None:
        """For a refused request. Browsers know what is another site; that is no fault
        of the configuration."""
        if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return
        if time.monotonic() < self._say_at_s:
            return
        self._say_at_s = time.monotonic() + SAY_EVERY_S
        place = headers.get("Origin", "")[:SHOWN_CHARS]
        own = own_origin(config, headers, peer)[:SHOWN_CHARS]
        reason = "as --public-url says" if config.public_url else "by the Host header"
        logger.info(
            "refused what a page at %a asked for: Hai is at %a, %s. If that page is"
            " Hai's own, --public-url must be what people open, or the web server"
            " must pass on Host",
            place,
            own,
            reason,
        )


misfits = Misfits()


def client_address(config: Config, peer: str, forwarded_for: str) -> str:
    """The address of the client: the last hop that is not a trusted proxy."""
    address = peer
    for hop in reversed(forwarded_for.split(",")[-MAX_FORWARDS:]):
        if not is_trusted(config, address):
            break
        if not (claimed := _address(hop)):
            break
        address = claimed
    return address


@lru_cache(maxsize=4096)  # 5 us each otherwise, for each page and each connection
def address_block(address: str) -> str:
    """What one customer has: an IPv4 address, or the /64 of an IPv6 one.

    Limits are counted by this; otherwise one customer would have 2^64 addresses.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))


def is_trusted(config: Config, peer: str) -> bool:
    """Whether this peer is one of `trusted_proxies`."""
    return bool(config.trusted_proxies) and _is_in(config.trusted_proxies, peer)


@lru_cache(maxsize=1024)
def _is_in(networks: tuple[str, ...], peer: str) -> bool:
    address = _address(peer)
    if not address:
        return False
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(network) for network in networks)


def _address(text: str) -> str:
    """The plain form of an address, or "" if it is not one."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:10.0.0.1
    return str(mapped or address)


def _last(values: str) -> str:
    """What the nearest proxy wrote: proxies append, and the client may send a value
    too."""
    return values.rpartition(",")[2].strip()


def _place(origin: str, with_scheme: bool) -> tuple[str, str, int | None] | None:
    """A comparable form of an origin; None for `null` and nonsense."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not host:
        return None
    scheme = parts.scheme if with_scheme else ""
    if port == DEFAULT_PORTS[parts.scheme]:
        port = None
    if with_scheme:
        port = port or DEFAULT_PORTS[parts.scheme]
    return scheme, host, port

"""Own origin, cross-site requests, addresses behind proxies."""

import dataclasses

import pytest
from tornado.httputil import HTTPHeaders

from hai import config as settings
from hai.core import origin

PEER = "192.0.2.7"


def made(**changes):
    return dataclasses.replace(settings.load({}, {}), **changes)


def cross(config, peer=PEER, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return origin.is_cross_site(config, HTTPHeaders(named), peer)


@pytest.mark.parametrize(
    ("host", "page", "is_foreign"),
    [
        ("hai.example", "https://hai.example", False),
        ("hai.example", "http://hai.example", False),
        ("HAI.example:8888", "http://hai.example:8888", False),
        ("hai.example", "https://hai.example:443", False),
        ("hai.example", "https://hai.example:444", True),
        ("hai.example", "https://hai.example.evil", True),
        ("hai.example", "null", True),
        ("hai.example", "file://", True),
        ("", "null", True),
        ("[::1]:8888", "http://[::1]:8888", False),
    ],
)
def test_without_public_url_the_host_is_ours(host, page, is_foreign):
    assert cross(made(), Host=host, Origin=page) is is_foreign


@pytest.mark.parametrize(
    ("page", "is_foreign"),
    [
        ("https://hai.example", False),
        ("https://hai.example:443", False),
        ("http://hai.example", True),
        ("http://127.0.0.1:8888", True),
    ],
)
def test_public_url_is_ours_whatever_the_host(page, is_foreign):
    config = made(public_url="https://hai.example")
    assert cross(config, Host="127.0.0.1:8888", Origin=page) is is_foreign


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_a_request_without_an_origin_passes(site):
    assert not cross(made(), Host="hai.example", Sec_Fetch_Site=site)
    assert cross(made(), Host="hai.example", Sec_Fetch_Site="cross-site")


def test_a_forwarded_host_counts_from_a_trusted_proxy_only():
    headers = {
        "Host": "127.0.0.1:8888",
        "X_Forwarded_Host": "hai.example",
        "Origin": "https://hai.example",
    }
    assert cross(made(), **headers)
    assert not cross(made(trusted_proxies=("192.0.2.0/24",)), **headers)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (PEER, "", PEER),
        (PEER, "203.0.113.5", "203.0.113.5"),
        (PEER, "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        (PEER, "203.0.113.5, 192.0.2.9", "203.0.113.5"),
        (PEER, "nonsense", PEER),
        (PEER, "203.0.113.5, nonsense", PEER),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("::ffff:192.0.2.7", "2001:db8::1", "2001:db8::1"),
        ("", "203.0.113.5", ""),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy(peer, forwarded, address):
    config = made(trusted_proxies=("192.0.2.0/24",))
    assert origin.client_address(config, peer, forwarded) == address


def test_without_trusted_proxies_nothing_is_believed():
    assert origin.client_address(made(), PEER, "203.0.113.5") == PEER

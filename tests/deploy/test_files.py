"""The other files in deploy/ name what is there."""

import re
from pathlib import Path

import pytest

from hai import config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SERVICE = (DEPLOY / "hai.service").read_text()


@pytest.mark.quick
def test_the_service_sets_settings_that_exist():
    found = re.findall(r"^#?Environment=(HAI_\w+)=(\S+)$", SERVICE, re.MULTILINE)
    env = dict(found)
    assert len(env) >= 4
    loaded = config.load({}, env)
    assert loaded.trusted_proxies == ("127.0.0.1/32", "::1/128")
    assert str(loaded.data) == "/var/lib/hai"


def test_the_service_starts_what_is_there():
    assert "run.py serve" in SERVICE
    assert (DEPLOY.parent / "run.py").exists()


WEB_SERVERS = ("apache.conf", "nginx.conf", "Caddyfile", "lighttpd.conf", "haproxy.cfg")


@pytest.mark.parametrize("name", WEB_SERVERS)
def test_each_web_server_finds_hai_and_says_how_to_trust_it(name):
    text = (DEPLOY / name).read_text()
    port = config.load({}, {}).port
    assert re.search(rf"""127\.0\.0\.1(:|", "port" => ){port}\b""", text)
    assert "--trusted-proxies 127.0.0.1,::1" in text
    assert "--public-url https://hai.example.org" in text

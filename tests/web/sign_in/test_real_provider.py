"""Signing in at a certified provider, in a process of its own: npm's oidc-provider."""

import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hai.core.identity import sessions
from hai.core.people import external_accounts
from tests.clients import Client
from tests.realtime.test_javascript_client import node
from tests.web.sign_in.test_oidc import begin_link
from tests.web.sign_in.test_second_factor import HTML, PAGE, ada

__all__ = ["ada"]  # a fixture
ROOT = Path(__file__).resolve().parents[3]
CLIENT = {"oidc_client_id": "hai", "oidc_sign_up_groups": "crew"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        return chosen.getsockname()[1]


@pytest.fixture
def issuer():
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def config_flags(issuer, tmp_path, request):
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    files = {"oidc_client_secret_file": str(secret)}
    return CLIENT | files | {"oidc_issuer": issuer} | getattr(request, "param", {})


@pytest.fixture
def provider(issuer, app):
    """A browser of somebody who goes there."""
    redirect_uri = f"{app.url}/sign_in/oidc/callback"
    port = issuer.rpartition(":")[2]
    command = [node(), ROOT / "tests/openid_provider.mjs", port, redirect_uri]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout.readline() == b"ready\n"
        browser = Client(issuer)
        yield browser
        browser.close()
        child.kill()


def path_of(url):
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


async def follow(browser, answer, back):
    """Until a page comes, or the way leads back; gives that answer."""
    while answer.status in (302, 303) and not answer.location.startswith(back):
        answer = await browser.get(path_of(answer.location), headers=HTML)
    return answer


async def approve(there, url, name, back):
    """Type the name, say yes; gives the path that leads back."""
    answer = await follow(there, await there.get(path_of(url), headers=HTML), back)
    while answer.status == 200:
        action = re.search(r'action="([^"]+)"', answer.text)[1]
        prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)[1]
        form = {"prompt": prompt, "login": name, "password": "any"}
        answer = await there.post(path_of(action), form=form, headers=HTML)
        answer = await follow(there, answer, back)
    return path_of(answer.location)


async def there_and_back(browser, there, name, query=""):
    begun = await browser.get(f"/sign_in/oidc{query}", headers=HTML)
    assert begun.status == 302, begun.text
    path = await approve(there, begun.location, name, browser.url)
    return await browser.get(path, headers=HTML)


async def test_somebody_of_the_crew_joins_and_comes_back(client, provider):
    browser = client()
    assert (await there_and_back(browser, provider, "grace")).location == "/"
    me = (await browser.get("/api/v1/me")).json["user"]
    assert (me["name"], me["display_name"]) == ("grace", "grace of the crew")
    again = client()
    answer = await there_and_back(again, provider, "grace", "?next=/people")
    assert answer.location == "/people"
    assert (await again.get("/api/v1/me")).json["user"]["id"] == me["id"]


@pytest.mark.slow
async def test_an_account_is_linked_in_the_settings(core, client, provider, ada):
    browser = client(ada)
    query = await begin_link(browser)
    answer = await there_and_back(browser, provider, "ada", query)
    assert answer.location == f"{PAGE}?done=linked"
    linked = await external_accounts.list_of(core, ada.id)
    assert [account.name for account in linked] == ["ada@example.org"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config_flags", [{"oidc_sign_up_groups": "staff"}], indirect=True
)
async def test_somebody_of_no_group_stays_outside(client, provider):
    answer = await there_and_back(client(), provider, "linus")
    assert answer.status == 403


@pytest.mark.slow
async def test_with_a_wrong_secret_nobody_comes_in(
    core, client, provider, tmp_path, expect_log
):
    expect_log("signing in at .* failed: .*/token: HTTP 401")
    (tmp_path / "secret").write_text("another secret")
    browser = client()
    answer = await there_and_back(browser, provider, "grace")
    assert answer.status == 401
    assert sessions.find(core, browser.cookies.get("hai_session", "")) is None

"""`invite` prints a link that lets people join."""

from urllib.parse import urlsplit

from tests.clients import Client


def test_the_link_is_under_the_public_address(command):
    link = command("invite", "--public-url", "https://hai.example.org").strip()
    assert link.startswith("https://hai.example.org/join/")


def test_each_invite_is_new(command):
    assert command("invite") != command("invite")


def test_the_link_opens_the_sign_up_page(io_loop, served):
    served.add_user("ada", role="owner")
    path = urlsplit(served.run("invite").strip()).path

    async def ask(path):
        client = Client(served.url)
        answer = await client.get(path)
        client.close()
        return answer.status

    assert io_loop.run_sync(lambda: ask(path)) == 200
    assert io_loop.run_sync(lambda: ask("/join/wrong")) == 404


def test_the_link_leads_to_the_server_that_runs(served):
    """Though the command knows nothing of that server's port."""
    assert served.run("invite").startswith(f"{served.url}/join/")

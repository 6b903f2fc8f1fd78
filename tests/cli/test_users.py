"""`users add|token|list`: their output is what scripts rely on."""

from hai import clock
from hai.core.identity import totp
from tests.clients import Client


def test_added_people_are_listed_name_first(command):
    command("users", "add", "ada", "--role", "owner")
    command("users", "add", "grace")
    lines = command("users", "list").splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ada", "owner"],
        ["grace", "member"],
    ]


def test_bots_are_listed_only_when_asked_for(command):
    command("users", "add", "ada")
    assert "ada" not in command("users", "list", "--bots")
    people = command("users", "list").split()
    assert "eliza" not in people


def test_tokens_come_one_a_line_in_the_order_of_the_names(command):
    command("users", "add", "ada")
    command("users", "add", "grace")
    tokens = command("users", "token", "ada", "grace", "ADA").splitlines()
    assert len(set(tokens)) == 3
    assert all(len(token) == 43 for token in tokens)


def test_tokens_are_listed_with_what_they_are_for_and_ended(command):
    command("users", "add", "ada")
    command("users", "token", "ada")
    about = ("--for", "Weather", "--scope", "read", "--days", "1")
    command("users", "token", "ada", *about)
    listed = command("users", "tokens", "ada").splitlines()
    weather, plain = [line.split("\t") for line in listed]
    assert (weather[1], weather[-1], plain[1]) == ("read", "Weather", "all")
    assert plain[-2] == "never" and weather[-2] > weather[2]
    command("users", "end-token", "ada", weather[0])
    assert command("users", "tokens", "ada").splitlines() == listed[1:]
    error = command("users", "end-token", "ada", weather[0], code=1)
    assert error.startswith("not_found:")


def test_a_token_that_makes_no_sense_is_refused(command):
    command("users", "add", "ada")
    for flags in (("--days", "0"), ("--days", "9999"), ("--for", "x" * 41)):
        error = command("users", "token", "ada", *flags, code=1)
        assert error.startswith("bad_request:")
    assert command("users", "tokens", "ada") == ""


def test_an_unknown_name_gives_no_token_to_anybody(command):
    command("users", "add", "ada")
    error = command("users", "token", "ada", "nobody", code=1)
    assert error.startswith("not_found:")
    assert "nobody" in error


def test_names_are_taken_once_and_have_no_spaces(command):
    command("users", "add", "ada")
    assert "bad_request" in command("users", "add", "Ada", code=1)
    assert "bad_request" in command("users", "add", "ada lovelace", code=1)
    assert len(command("users", "list").splitlines()) == 1


def test_a_short_password_adds_nobody(command):
    error = command("users", "add", "ada", "--password-stdin", stdin="short\n", code=1)
    assert "bad_request" in error
    assert command("users", "list") == ""


def test_a_password_that_is_easy_to_guess_adds_nobody(command):
    for easy in ("password1", "ada12345"):
        add = ("users", "add", "ada", "--password-stdin")
        error = command(*add, stdin=easy + "\n", code=1)
        assert error.startswith("bad_request:") and "Four unrelated words" in error
    assert command("users", "list") == ""


def test_flags_may_stand_anywhere_after_the_command(command):
    command("users", "--ping-timeout-s", "1", "add", "--sign-up", "open", "ada")
    assert command("users", "list").startswith("ada")


def test_a_token_works_at_once(io_loop, served):
    token = served.add_user("ada", role="owner")
    client = Client(served.url, token=token)
    answer = io_loop.run_sync(lambda: client.get("/api/v1/me"))
    client.close()
    assert answer.status == 200
    assert "ada" in answer.text


def test_a_password_signs_in_and_without_one_none_does(io_loop, served):
    served.add_user("ada", password="a good password")
    served.add_user("grace")

    async def sign_in(name, password):
        client = Client(served.url)
        form = {"name": name, "password": password}
        await client.post("/sign_in", form=form)
        client.close()
        return "hai_session" in client.cookies

    assert io_loop.run_sync(lambda: sign_in("ada", "a good password"))
    assert not io_loop.run_sync(lambda: sign_in("grace", ""))
    assert not io_loop.run_sync(lambda: sign_in("grace", "a good password"))


def test_a_role_and_a_limit_are_changed(command):
    command("users", "add", "ada", "--role", "owner")
    command("users", "add", "grace")
    command("users", "change", "Grace", "--role", "admin", "--max-bytes", "5000")
    assert "grace\tadmin" in command("users", "list")
    error = command("users", "change", "ada", "--role", "member", code=1)
    assert error.startswith("forbidden:")
    assert "--role" in command("users", "change", "grace", code=2)


def test_somebody_is_deactivated_and_let_back_in(command):
    command("users", "add", "ada", "--role", "owner")
    command("users", "add", "grace")
    command("users", "deactivate", "grace")
    assert "grace" not in command("users", "list")
    assert "forbidden" in command("users", "reset", "grace", code=1)
    command("users", "reactivate", "grace")
    assert "grace" in command("users", "list")


def test_a_link_for_a_new_password_is_printed_and_works(io_loop, served):
    served.add_user("ada", role="owner")
    url = served.run("users", "reset", "ada").strip()
    assert url.startswith(f"{served.url}/reset/")
    client = Client(served.url)
    form = {"password": "a good password"}
    answer = io_loop.run_sync(lambda: client.post(url[len(served.url) :], form=form))
    client.close()
    assert answer.status == 303 and "hai_session" in client.cookies
    assert url.rsplit("/", 1)[1] not in served.log


def test_whoever_lost_the_second_factor_is_helped_at_the_terminal(io_loop, served):
    """An owner, whom no admin can help; the page of the first code is on the wire."""
    served.add_user("ada", role="owner", password="a good password")
    client = Client(served.url)
    who = {"name": "ada", "password": "a good password"}

    async def set_up():
        await client.post("/sign_in", json=who)
        begun = (await client.post("/settings/second_factor/begin", json={})).json
        secret = totp.from_text(begun["secret"])
        code = totp.code_of(secret, totp.step_at(clock.now_ms()))
        form = {"sealed": begun["sealed"], "code": code}
        return await client.post("/settings/second_factor/confirm", json=form)

    async def sign_in():
        return (await client.post("/sign_in", json=who)).status

    assert io_loop.run_sync(set_up).status == 201
    assert io_loop.run_sync(sign_in) == 401
    said = served.run("users", "reset-factor", "ada")
    assert said == "ada signs in by password alone\n"
    assert io_loop.run_sync(sign_in) == 200
    client.close()

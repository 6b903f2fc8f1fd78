"""`rooms add` prints the id; members by name, or everyone there is."""

import pytest

from tests.clients import Client


def test_it_prints_the_id_of_an_open_room(command):
    assert int(command("rooms", "add", "Kitchen table")) > 0


def test_a_closed_room_takes_its_members_by_name(command):
    command("users", "add", "ada")
    command("users", "add", "grace")
    assert int(
        command("rooms", "add", "Lab", "--kind", "closed", "--members", "ada,Grace")
    )


@pytest.mark.parametrize(
    ("flags", "code"), [(["--members", "ada,nobody"], "not_found")]
)
def test_what_cannot_be_made_is_not(command, flags, code):
    command("users", "add", "ada")
    assert command("rooms", "add", "Lab", *flags, code=1).startswith(code)


def test_members_and_all_exclude_each_other(command):
    error = command("rooms", "add", "Lab", "--all", "--members", "ada", code=2)
    assert "not allowed with" in error


def test_all_people_are_in_the_room_at_once_and_nobody_else(io_loop, served):
    tokens = [served.add_user(name) for name in ("ada", "grace")]
    room_id = int(served.run("rooms", "add", "Hall", "--all"))
    late = served.add_user("linus")

    async def status(token):
        client = Client(served.url, token=token)
        answer = await client.get(f"/api/v1/rooms/{room_id}/hais")
        client.close()
        return answer.status

    assert [io_loop.run_sync(lambda t=t: status(t)) for t in tokens] == [200, 200]
    assert io_loop.run_sync(lambda: status(late)) == 403


def test_a_room_is_told_how_long_to_keep_pictures(command):
    command("users", "add", "ada", "--role", "owner")
    room_id = command("rooms", "add", "Lab", "--members", "ada").strip()
    keep = ("rooms", "change", room_id, "--picture-days")
    assert command(*keep, "30") == "keeps pictures for 30 days\n"
    assert "bad_request" in command(*keep, "4000", code=1)

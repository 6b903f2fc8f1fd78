"""Accounts, sessions, invites."""

import asyncio
import dataclasses
import threading

import pytest

from hai import clock, errors
from hai.core.identity import (
    invites,
    passwords,
    sessions,
)
from hai.core.people import accounts, admin
from hai.core.talk import rooms
from hai.storage.models import User
from hai.units import DAY_MS
from tests.factories import make_room, make_user

PASSWORD = "correct horse"


async def test_the_first_owner_and_the_first_room(core):
    assert accounts.needs_set_up(core)
    ada = await accounts.set_up(core, name="ada", display_name="Ada", password=PASSWORD)
    assert ada["role"] == "owner"
    assert not accounts.needs_set_up(core)
    with pytest.raises(errors.Forbidden):
        await accounts.set_up(core, name="eve", display_name="", password=PASSWORD)


async def test_whoever_was_here_before_keeps_the_owner_from_nothing(core):
    grace = await make_user(core, "grace")
    assert accounts.needs_set_up(core) and not accounts.is_empty(core)
    await accounts.set_up(core, name="ada", display_name="Ada", password=PASSWORD)
    mine, _ = await rooms.mine_and_open(core, grace.identity)
    assert [(room["name"], room["member_count"]) for room in mine] == [("Everyone", 2)]


async def test_new_people_join_the_room_for_everyone(core):
    await accounts.set_up(core, name="ada", display_name="", password=PASSWORD)
    grace = await make_user(core, "grace")
    mine, _ = await rooms.mine_and_open(core, grace.identity)
    assert [(room["name"], room["member_count"]) for room in mine] == [("Everyone", 2)]


async def test_signing_in(core):
    await make_user(core, "Ada", password=PASSWORD)
    token = await sessions.sign_in(core, " ada ", PASSWORD, "A browser")
    who = sessions.find(core, token)
    assert who is not None
    listed = await sessions.list_of(core, who.user_id)
    assert "A browser" in {session.user_agent for session in listed}


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong horse"), ("nobody", PASSWORD), ("bare", ""), ("bare", PASSWORD)],
)
async def test_what_does_not_sign_in(core, name, password):
    """The last two: an account without a password has tokens only."""
    await make_user(core, "ada", password=PASSWORD)
    await make_user(core, "bare")
    with pytest.raises(errors.Unauthorized):
        await sessions.sign_in(core, name, password, "A browser")


@pytest.mark.parametrize("what", ["deactivated", "another password"])
async def test_a_sign_in_that_waited_finds_what_changed_meanwhile(core, what):
    owner = await make_user(core, "ada", role="owner")
    grace = await make_user(core, "grace", password=PASSWORD)
    let_go = threading.Event()
    for _ in range(core.executor._max_workers):
        core.executor.submit(let_go.wait)
    signing_in = asyncio.create_task(
        sessions.sign_in(core, "grace", PASSWORD, "A browser")
    )
    await asyncio.sleep(0)  # it has read the hash, and waits for the look at it
    if what == "deactivated":
        await admin.deactivate(core, owner.identity, user_id=grace.id)
        await admin.reactivate(core, owner.identity, user_id=grace.id)
        await admin.deactivate(core, owner.identity, user_id=grace.id)
    else:
        new_hash = "argon2 of another one"
        await core.db.write(
            lambda tx: (
                User.update(password_hash=new_hash).where(User.id == grace.id).execute()
            )
        )
    let_go.set()
    with pytest.raises(errors.Unauthorized):
        await signing_in


async def test_an_order_that_waited_behind_a_deactivation_enters_no_room(core):
    owner = await make_user(core, "ada", role="owner")
    grace = await make_user(core, "grace")
    room = await make_room(core, owner, name="Lab")
    going = admin.deactivate(core, owner.identity, user_id=grace.id)
    joining = rooms.join(core, grace.identity, room_id=room["id"])
    await going
    with pytest.raises(errors.NotFound):
        await joining


@pytest.mark.parametrize("token", ["", "x", "ü" * 43, "y" * 5000])
async def test_what_is_no_token(core, token):
    assert sessions.find(core, token) is None


async def test_a_browser_not_seen_for_a_month_must_sign_in_again(
    core, cast, monkeypatch
):
    later = clock.now_ms() + 30 * DAY_MS + 1
    monkeypatch.setattr(clock, "now_ms", lambda: later)
    assert sessions.find(core, cast.ada.cookie) is None
    assert sessions.find(core, cast.ada.token) is not None


async def test_a_new_password_ends_the_other_browsers(core):
    ada = await make_user(core, "ada", password=PASSWORD)
    other = await sessions.sign_in(core, "ada", PASSWORD, "another")
    with pytest.raises(errors.Forbidden):
        await accounts.change_password(
            core, ada.identity, old="wrong", new="battery staple"
        )
    await accounts.change_password(
        core, ada.identity, old=PASSWORD, new="battery staple"
    )
    assert sessions.find(core, other) is None
    assert sessions.find(core, ada.cookie) == ada.identity
    await sessions.sign_in(core, "ada", "battery staple", "again")


async def test_one_ends_only_ones_own_sessions(core, cast):
    with pytest.raises(errors.NotFound):
        await sessions.end(core, cast.grace.id, cast.ada.identity.session_id)
    assert sessions.find(core, cast.ada.cookie) is not None


@pytest.mark.parametrize(
    ("name", "display_name", "password"),
    [
        ("", "x", PASSWORD),
        ("two words", "x", PASSWORD),
        ("x" * 41, "x", PASSWORD),
        ("a\u202eb", "x", PASSWORD),
        ("ok", "x" * 41, PASSWORD),
        ("ok", "x", "short"),
        ("ok", "x", "x" * 1025),
        ("ok", "x", "\ud800" * 9),
    ],
)
async def test_accounts_that_cannot_be(core, name, display_name, password):
    with pytest.raises(errors.BadRequest):
        await accounts.set_up(
            core, name=name, display_name=display_name, password=password
        )
    assert accounts.needs_set_up(core)


async def test_a_name_is_taken_in_any_case(core):
    await make_user(core, "ada")
    with pytest.raises(errors.BadRequest) as refused:
        await make_user(core, "ADA")
    assert refused.value.details["field"] == "name"


async def test_joining_takes_an_invite(core, cast):
    joining = {"name": "eve", "display_name": "Eve", "password": PASSWORD}
    with pytest.raises(errors.NotFound):
        await accounts.sign_up(core, "made-up", **joining)
    code = await invites.create(core, cast.ada.id)
    assert (await accounts.sign_up(core, code, **joining))["role"] == "member"


async def test_an_invite_ends(core, monkeypatch):
    code = await invites.create(core, None)
    assert await invites.is_good(core, code)
    later = clock.now_ms() + invites.LIFETIME_MS + 1
    monkeypatch.setattr(clock, "now_ms", lambda: later)
    assert not await invites.is_good(core, code)


@pytest.mark.parametrize(("sign_up", "error"), [("open", None), ("closed", True)])
async def test_who_may_sign_up_is_a_setting(core, sign_up, error):
    code = await invites.create(core, None)
    core.config = dataclasses.replace(core.config, sign_up=sign_up)
    if error:
        with pytest.raises(errors.Forbidden):
            await accounts.require_sign_up(core, code)
    else:
        await accounts.require_sign_up(core, "")


async def test_an_unknown_name_takes_as_long_as_a_known_one(core):
    """The hash of nobody's password is a real one, of the same cost."""
    argon2 = pytest.importorskip("argon2")
    nobody = argon2.extract_parameters(passwords.NOBODY)
    real = argon2.extract_parameters(await passwords.make_hash(core, PASSWORD))
    assert nobody == real
    assert not await passwords.verify(core, PASSWORD, None)


async def test_a_session_is_found_though_nothing_can_be_written(
    core, cast, monkeypatch
):
    """Once an hour its last use is noted; a server that is busy does without."""

    def busy(*args):
        raise errors.Busy()

    later = clock.now_ms() + sessions.SEEN_EVERY_MS + 1
    monkeypatch.setattr(clock, "now_ms", lambda: later)
    monkeypatch.setattr(core.db, "write", busy)
    assert sessions.find(core, cast.ada.cookie) == cast.ada.identity


@pytest.mark.parametrize(
    "name", ["аda", "../x", "a/b", "a\u00adb", ".a", "@ada", "ädä"]
)
async def test_a_sign_in_name_cannot_be_taken_for_another(core, name):
    with pytest.raises(errors.BadRequest):
        await make_user(core, name)


@pytest.mark.parametrize(
    "name",
    ["a\u00adb", "\u2800", "\u3164", "\u200d", "a\u202eb", "x\U000e0041", "\u0301"],
)
def test_a_shown_name_can_be_seen_whole(name):
    with pytest.raises(errors.BadRequest):
        accounts.check_account("ada", name)


@pytest.mark.parametrize("name", ["Åsa", "Нина", "👩‍🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿 Fan", "می‌خواهم", "!!"])
def test_names_of_all_scripts_can_be_shown(name):
    assert accounts.check_account("ada", name) == ("ada", name)


async def test_a_flood_of_guesses_is_turned_away_at_once(core):
    """Whoever comes after it does not wait until all of them were hashed."""
    await make_user(core, "ada", password=PASSWORD)
    flood = [
        asyncio.ensure_future(sessions.sign_in(core, f"nobody{n}", PASSWORD, ""))
        for n in range(passwords.MAX_WAITING + 5)
    ]
    results = await asyncio.gather(*flood, return_exceptions=True)
    kinds = [type(result).__name__ for result in results]
    assert kinds.count("RateLimited") == 5
    assert await sessions.sign_in(core, "ada", PASSWORD, "")

"""What owners and admins may do with people, and that it takes effect at once."""

import asyncio
import re
from pathlib import Path

import pytest

from hai import clock, errors
from hai.core import audit
from hai.core.audit import KEPT_DAYS
from hai.core.identity import sessions
from hai.core.people import (
    accounts,
    admin,
    resets,
    usage,
)
from hai.core.talk import rooms
from hai.storage.models import AuditRecord, PasswordReset, User
from hai.units import DAY_MS
from tests.factories import make_hai, make_room, make_user, order


@pytest.fixture
def admina(io_loop, core, cast):
    """An admin beside ada, the owner."""
    return io_loop.run_sync(lambda: make_user(core, "admina", role="admin"))


async def listed(core):
    return {user["name"] for user in await accounts.list_users(core)}


async def audited_actions(core):
    found, _ = await audit.page(core, names=NOT_OF_THE_CAST)
    return [record["name"] for record in found]


NOT_OF_THE_CAST = audit.ACTION_WORDS.keys() - {"added_user", "signed_in"}


# --- Who may -------------------------------------------------------------------------

ACTS = {
    "deactivate": lambda core, who, id_: admin.deactivate(core, who, user_id=id_),
    "reactivate": lambda core, who, id_: admin.reactivate(core, who, user_id=id_),
    "end_sessions": lambda core, who, id_: admin.end_sessions(core, who, user_id=id_),
    "make_reset": lambda core, who, id_: admin.make_reset(core, who, user_id=id_),
    "set_quota": lambda core, who, id_: admin.set_quota(
        core, who, user_id=id_, max_bytes=7
    ),
    "remove_pictures": lambda core, who, id_: admin.remove_pictures_of_user(
        core, who, user_id=id_, days=0
    ),
}


@pytest.mark.parametrize("name", ACTS)
async def test_an_admin_acts_on_members_only(core, cast, admina, name):
    act = ACTS[name]
    other = await make_user(core, "second", role="admin")
    for above in (cast.ada, other, admina):
        with pytest.raises(errors.Forbidden):
            await act(core, admina.identity, above.id)
    with pytest.raises(errors.NotFound):
        await act(core, admina.identity, 999_999)
    assert await act(core, admina.identity, cast.grace.id) is not None


@pytest.mark.parametrize("name", ACTS)
async def test_a_member_acts_on_nobody(core, cast, name):
    for user_id in (cast.linus.id, cast.grace.id, 999_999):
        with pytest.raises(errors.Forbidden):
            await ACTS[name](core, cast.grace.identity, user_id)
    assert await audited_actions(core) == []


async def test_only_owners_give_roles(core, cast, admina):
    for role in accounts.ROLES:
        with pytest.raises(errors.Forbidden):
            await admin.change_role(
                core, admina.identity, user_id=cast.grace.id, role=role
            )
    ack = await admin.change_role(
        core, cast.ada.identity, user_id=cast.grace.id, role="owner"
    )
    assert ack["user"]["role"] == "owner"
    with pytest.raises(errors.BadRequest):
        await admin.change_role(
            core, cast.ada.identity, user_id=cast.linus.id, role="god"
        )


async def test_a_role_that_was_taken_away_counts_at_once(core, cast, admina):
    """Who acts is looked up in the transaction, not believed from the request."""
    stale = admina.identity
    await admin.change_role(core, cast.ada.identity, user_id=admina.id, role="member")
    with pytest.raises(errors.Forbidden):
        await admin.deactivate(core, stale, user_id=cast.grace.id)


async def test_the_last_owner_stays(core, cast):
    for act in (
        lambda: admin.change_role(core, None, user_id=cast.ada.id, role="admin"),
        lambda: admin.deactivate(core, None, user_id=cast.ada.id),
    ):
        with pytest.raises(errors.Forbidden, match="must be an owner"):
            await act()
    await admin.change_role(core, None, user_id=cast.grace.id, role="owner")
    assert await admin.deactivate(core, None, user_id=cast.ada.id)


async def test_two_owners_cannot_demote_each_other_at_once(core, cast):
    await admin.change_role(core, None, user_id=cast.grace.id, role="owner")
    grace = sessions.find(core, cast.grace.cookie)
    done = await asyncio.gather(
        admin.change_role(
            core, cast.ada.identity, user_id=cast.grace.id, role="member"
        ),
        admin.change_role(core, grace, user_id=cast.ada.id, role="member"),
        return_exceptions=True,
    )
    refused = [one for one in done if isinstance(one, errors.Forbidden)]
    assert len(refused) == 1
    assert await core.db.read(lambda: User.select().where(User.role == "owner").count())


async def test_a_bot_stays_what_it_is(core, cast):
    bot = await make_user(core, "beep", kind="bot")
    for act in (
        lambda: admin.change_role(core, None, user_id=bot.id, role="owner"),
        lambda: admin.deactivate(core, None, user_id=bot.id),
        lambda: admin.make_reset(core, None, user_id=bot.id),
    ):
        with pytest.raises(errors.Forbidden):
            await act()


# --- Coming and going ----------------------------------------------------------------


async def test_a_deactivated_user_is_out_at_once(core, cast):
    hai = await make_hai(core, cast.grace, cast.lab, "still mine")
    await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)
    assert sessions.find(core, cast.grace.cookie) is None
    assert sessions.find(core, cast.grace.token) is None
    assert "grace" not in await listed(core)
    for room in (cast.lounge, cast.lab):
        with pytest.raises(errors.HaiError):
            await make_hai(core, cast.grace, room, "not any more")
    page = await order(core, cast.ada, "get_hais", {"room_id": cast.lab["id"]})
    assert [one["id"] for one in page["hais"]] == [hai["id"]]
    shown = await rooms.show(core, cast.ada.identity, cast.lab["id"])
    assert (shown["member_count"], shown["member_ids"]) == (1, [cast.ada.id])


async def test_a_deactivated_user_cannot_sign_in_or_be_asked_in(core, cast):
    barbara = await make_user(core, "barbara", password="a calm sea and a fin")
    await admin.deactivate(core, cast.ada.identity, user_id=barbara.id)
    with pytest.raises(errors.Unauthorized):
        await sessions.sign_in(core, "barbara", "a calm sea and a fin", "")
    payload = {"room_id": cast.lab["id"], "user_id": barbara.id}
    with pytest.raises(errors.NotFound):
        await order(core, cast.ada, "add_member", payload)
    with pytest.raises(errors.NotFound):
        await order(core, cast.ada, "open_direct", {"user_ids": [barbara.id]})


async def test_who_is_let_back_in_is_where_they_were(core, cast):
    left = await make_room(core, cast.ada, cast.grace, name="Left before")
    await order(core, cast.grace, "leave_room", {"room_id": left["id"]})
    before = {
        room["id"] for room in (await rooms.mine_and_open(core, cast.grace.identity))[0]
    }
    await asyncio.sleep(0.002)  # the clock of the deactivation is another one
    await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)
    await admin.reactivate(core, cast.ada.identity, user_id=cast.grace.id)
    again = await sessions.start(core, cast.grace.id, "browser", "")
    identity = sessions.find(core, again)
    mine, _ = await rooms.mine_and_open(core, identity)
    assert {room["id"] for room in mine} == before
    assert left["id"] not in before
    assert sessions.find(core, cast.grace.cookie) is None  # old ones stay ended
    assert "grace" in await listed(core)


async def test_doing_it_twice_changes_nothing_more(core, cast):
    for _ in "12":
        await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)
    for _ in "12":
        await admin.reactivate(core, cast.ada.identity, user_id=cast.grace.id)
    assert await audited_actions(core) == ["reactivated", "deactivated"]


async def test_all_sessions_of_a_user_end_and_nobody_else_s(core, cast):
    ack = await admin.end_sessions(core, cast.ada.identity, user_id=cast.grace.id)
    assert ack == {"session_count": 2}
    assert sessions.find(core, cast.grace.token) is None
    assert sessions.find(core, cast.linus.token) is not None
    assert sessions.find(core, cast.ada.cookie) is not None


# --- New passwords -------------------------------------------------------------------


async def test_a_link_sets_a_password_once_and_ends_all_sessions(core, cast):
    code = await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)
    assert (await resets.find(core, code)).name == "grace"
    assert await resets.use(core, code, "another good password") == cast.grace.id
    assert sessions.find(core, cast.grace.cookie) is None
    assert sessions.find(core, cast.grace.token) is None
    assert sessions.find(core, cast.ada.token) is not None
    assert await sessions.sign_in(core, "grace", "another good password", "")
    with pytest.raises(errors.NotFound):
        await resets.use(core, code, "and another one")


async def test_a_short_password_does_not_use_the_link_up(core, cast):
    code = await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)
    with pytest.raises(errors.BadRequest):
        await resets.use(core, code, "short")
    assert await resets.use(core, code, "long enough")


@pytest.mark.parametrize("code", ["", "x", "x" * 64, "x" * 65, "é"])
async def test_what_is_no_link_is_no_link(core, cast, code):
    await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)
    with pytest.raises(errors.NotFound):
        await resets.use(core, code, "long enough")


async def test_a_link_ends_by_a_newer_one_by_time_and_with_the_role(
    core, cast, admina, monkeypatch
):
    """Else an admin could keep one and become the owner that grace is made later."""
    first = await admin.make_reset(core, admina.identity, user_id=cast.grace.id)
    second = await admin.make_reset(core, admina.identity, user_id=cast.grace.id)
    with pytest.raises(errors.NotFound):
        await resets.find(core, first)
    await admin.change_role(
        core, cast.ada.identity, user_id=cast.grace.id, role="owner"
    )
    with pytest.raises(errors.NotFound):
        await resets.find(core, second)
    third = await admin.make_reset(core, cast.ada.identity, user_id=cast.linus.id)
    late = clock.now_ms() + resets.LIFETIME_MS + 1
    monkeypatch.setattr(clock, "now_ms", lambda: late)
    with pytest.raises(errors.NotFound):
        await resets.find(core, third)


async def test_only_the_hash_of_a_link_is_stored(core, cast):
    code = await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)
    row = await core.db.read(lambda: PasswordReset.get())
    assert len(bytes(row.code_hash)) == 32
    assert code.encode() not in core.db.path.read_bytes()


async def test_a_deactivated_user_gets_no_link_and_loses_the_one_they_had(core, cast):
    code = await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)
    await admin.deactivate(core, cast.ada.identity, user_id=cast.grace.id)
    with pytest.raises(errors.NotFound):
        await resets.use(core, code, "long enough")
    with pytest.raises(errors.Forbidden):
        await admin.make_reset(core, cast.ada.identity, user_id=cast.grace.id)


# --- What was done -------------------------------------------------------------------


async def test_every_audit_record_says_who_did_it_and_to_whom(core, cast):
    ada, grace = cast.ada.identity, cast.grace.id
    await admin.change_role(core, ada, user_id=grace, role="admin")
    await admin.set_quota(core, ada, user_id=grace, max_bytes=5_000_000)
    await admin.end_sessions(core, None, user_id=grace)
    found, has_more = await audit.page(core, names=NOT_OF_THE_CAST)
    told = [(d.get("actor"), d["name"], d.get("details"), d["user"]) for d in found]
    assert not has_more
    assert told == [
        (None, "ended_sessions", None, "Grace"),
        ("Ada", "set_quota", "5.0 MB", "Grace"),
        ("Ada", "changed_role", "an admin", "Grace"),
    ]


def test_every_recorded_action_has_words_and_no_words_are_unused():
    call = re.compile(r"\brecord\(\s*tx,\s*([^,]+),")
    sources = [path.read_text() for path in Path("hai").rglob("*.py")]
    recorded = {name for text in sources for name in call.findall(text)}
    assert recorded == {f'"{name}"' for name in audit.ACTION_WORDS}


async def test_an_action_without_words_cannot_be_recorded(core):
    with pytest.raises(AssertionError, match="mischief"):
        await core.db.write(audit.record, "mischief", None)
    assert await audited_actions(core) == []


async def test_what_was_refused_was_not_done(core, cast):
    with pytest.raises(errors.Forbidden):
        await admin.deactivate(core, None, user_id=cast.ada.id)
    assert await audited_actions(core) == []


async def test_audit_records_come_in_pages_and_are_forgotten_after_a_year(core, cast):
    for size in range(5):
        await admin.set_quota(core, None, user_id=cast.grace.id, max_bytes=size)
    pages = {"names": ["set_quota"], "limit": 3}
    first, has_more = await audit.page(core, **pages)
    rest, has_rest = await audit.page(core, before=first[-1]["id"], **pages)
    assert (len(first), has_more, len(rest), has_rest) == (3, True, 2, False)
    old = clock.now_ms() - KEPT_DAYS * DAY_MS - 1
    await core.db.write(
        lambda tx: (
            AuditRecord.update(done_at=old)
            .where(AuditRecord.id == first[0]["id"])
            .execute()
        )
    )
    await audit.forget_old(core)
    assert len((await audit.page(core, names=["set_quota"]))[0]) == 4


# --- Who uses what -------------------------------------------------------------------


async def test_ten_thousand_people_are_sorted_and_found(core, cast):
    def add(tx):
        rows = [
            {
                "rev": rev,
                "name": f"n{rev}",
                "display_name": f"Élodie {rev}",
                "kind": "person",
                "role": "member",
                "created_at": tx.now_ms,
            }
            for rev in tx.next_revs(10_000)
        ]
        for at in range(0, 10_000, 500):
            User.insert_many(rows[at : at + 500]).execute()

    await core.db.write(add)
    for query, wanted in (("", 51), ("élodie", 51), ("GRACE", 1), ("nobody", 0)):
        for sort in usage.USER_ORDERS:
            page = usage.page_request(usage.USER_ORDERS, sort, 1, query)
            found, has_more = await usage.users(core, page)
            assert (len(found), has_more) == (min(wanted, 50), wanted > 50)
    last = usage.page_request(usage.USER_ORDERS, "newest", 201, "")
    assert [user["name"] for user in (await usage.users(core, last))[0]][-1] == "ada"
    with pytest.raises(errors.BadRequest):
        usage.page_request(usage.USER_ORDERS, "1; DROP TABLE users", 1, "")


async def test_passwords_are_not_among_what_is_shown(core, cast):
    await make_user(core, "barbara", password="a calm sea and a fin")
    page = usage.page_request(usage.USER_ORDERS, "name", 1, "barbara")
    (shown,), _ = await usage.users(core, page)
    assert not any("password" in key or "hash" in key for key in shown)

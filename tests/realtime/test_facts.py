"""Facts out: who hears each, and who does not."""

import asyncio

from tests.factories import make_hai, make_room, make_user, order


async def assert_heard(listener, *strangers, name):
    """The fact is heard by the listener and, provably, not by the strangers."""
    assert strangers
    payload = await listener.fact(name)
    for stranger in strangers:
        await stranger.settle()
        assert stranger.named(name) == []
    return payload


async def test_hai_sent_is_for_members(cast, core, any_socket):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    hai = await make_hai(core, cast.ada, cast.lab, "between us")
    assert await assert_heard(grace, linus, name="hai_sent") == {"hai": hai}


async def test_hai_changed_is_for_members(cast, core, any_socket):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    hai = await make_hai(core, cast.ada, cast.lab)
    await order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": "edited"})
    payload = await assert_heard(grace, linus, name="hai_changed")
    assert payload["hai"]["text"] == "edited"


async def test_every_tab_of_a_member_hears(cast, core, socket, ws):
    tabs = [
        await socket(cast.grace),
        await socket(cast.grace, "polling"),
        await ws(cast.grace),
    ]
    await make_hai(core, cast.ada, cast.lab)
    for tab in tabs:
        await tab.fact("hai_sent")


async def test_on_connect_a_sid_enters_its_users_room(app, cast, socket):
    sio = app.realtime.sio
    for transport in ("websocket", "polling"):
        await (await socket(cast.ada, transport)).settle()
    found = dict(sio.manager.get_participants("/", f"user:{cast.ada.id}"))
    assert len(found) == 2
    for sid in found:
        assert set(sio.rooms(sid)) == {sid, f"user:{cast.ada.id}"}
    assert dict(sio.manager.get_participants("/", f"room:{cast.lab['id']}")) == found


async def test_emitting_to_a_room_reaches_its_members(app, cast, socket, transport):
    grace = await socket(cast.grace, transport)
    linus = await socket(cast.linus, transport)
    await app.realtime.sio.emit("hello", {"a": 1}, room=f"room:{cast.lab['id']}")
    assert await assert_heard(grace, linus, name="hello") == {"a": 1}


async def test_a_new_member_hears_from_then_on(cast, core, any_socket):
    linus = await any_socket(cast.linus)
    await make_hai(core, cast.ada, cast.lab, "before")
    member = {"room_id": cast.lab["id"], "user_id": cast.linus.id}
    await order(core, cast.ada, "add_member", member)
    await make_hai(core, cast.ada, cast.lab, "after")
    await linus.fact("room_changed", lambda p: p["room"]["id"] == cast.lab["id"])
    assert (await linus.fact("hai_sent"))["hai"]["text"] == "after"
    assert len(linus.named("hai_sent")) == 1


async def test_who_leaves_hears_nothing_more(cast, core, any_socket):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    await order(core, cast.linus, "leave_room", {"room_id": cast.lounge["id"]})
    await make_hai(core, cast.ada, cast.lounge)
    await linus.fact("room_removed")
    await assert_heard(grace, linus, name="hai_sent")


async def test_room_removed_is_for_the_removed(cast, core, any_socket):
    ada, linus = await any_socket(cast.ada), await any_socket(cast.linus)
    member = {"room_id": cast.lounge["id"], "user_id": cast.linus.id}
    await order(core, cast.ada, "remove_member", member)
    assert await assert_heard(linus, ada, name="room_removed") == {
        "room_id": cast.lounge["id"]
    }


async def test_a_new_room_is_told_to_its_members_only(cast, core, any_socket):
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    room = await make_room(core, cast.ada, cast.grace, kind="closed", name="New")
    payload = await assert_heard(grace, linus, name="room_changed")
    assert payload["room"]["id"] == room["id"]


async def test_user_changed_is_for_everyone(cast, core, any_socket):
    linus = await any_socket(cast.linus)
    await make_user(core, "newcomer")
    assert (await linus.fact("user_changed"))["user"]["name"] == "newcomer"


async def test_read_marked_is_for_own_tabs(cast, core, any_socket):
    grace, other = await any_socket(cast.grace), await any_socket(cast.grace)
    ada = await any_socket(cast.ada)
    hai = await make_hai(core, cast.ada, cast.lab)
    mark = {"room_id": cast.lab["id"], "hai_id": hai["id"]}
    await grace.order("mark_read", mark)
    payload = await assert_heard(other, ada, name="read_marked")
    assert payload == {**mark, "user_id": cast.grace.id}


async def test_typing_started_is_not_for_the_sender(cast, any_socket):
    ada, tab = await any_socket(cast.ada), await any_socket(cast.ada)
    grace, linus = await any_socket(cast.grace), await any_socket(cast.linus)
    await ada.order("start_typing", {"room_id": cast.lab["id"]})
    payload = await assert_heard(grace, ada, tab, linus, name="typing_started")
    assert payload == {"room_id": cast.lab["id"], "user_id": cast.ada.id}


async def test_several_changes_in_one_turn_are_told_once(cast, core, any_socket):
    grace = await any_socket(cast.grace)
    one, two = [await make_hai(core, cast.ada, cast.lab) for _ in range(2)]
    edits = [
        order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": f"edit {n}"})
        for n in range(5)
        for hai in (one, two)
    ]
    await asyncio.gather(*edits)
    await grace.settle()
    changed = [payload["hai"] for payload in grace.named("hai_changed")]
    assert len(changed) < len(edits)
    revs = [hai["rev"] for hai in changed]
    assert revs == sorted(revs)
    for hai in (one, two):
        last = [c for c in changed if c["id"] == hai["id"]][-1]
        assert last["text"] == "edit 4"


async def test_a_new_role_counts_on_open_sockets(app, cast, core, any_socket):
    grace = await any_socket(cast.grace)
    await grace.settle()
    [tab] = app.realtime.tabs.of_user(cast.grace.id)
    assert tab.identity.role == "member"
    user = {**cast.grace.user, "role": "admin"}
    app.realtime.broadcast.hear(type_of_user_changed()(user))
    assert tab.identity.role == "admin"


def type_of_user_changed():
    from hai.events import UserChanged

    return UserChanged


class TestPresence:
    async def test_company_hears_of_who_comes(self, cast, any_socket):
        grace = await any_socket(cast.grace)
        await any_socket(cast.ada)
        where = {"user_id": cast.ada.id, "presence": "online"}
        assert await grace.fact("presence_changed", lambda p: p == where)

    async def test_strangers_hear_nothing(self, cast, core, any_socket):
        loner = await make_user(core, "loner")
        stranger = await any_socket(loner)
        await any_socket(cast.ada)
        await stranger.settle()
        assert [p["user_id"] for p in stranger.named("presence_changed")] == [loner.id]

    async def test_large_rooms_hear_nothing(self, app, cast, core, any_socket):
        loner = await make_user(core, "loner")
        crowd = [await make_user(core) for _ in range(100)]
        await make_room(core, loner, *crowd, name="Crowd")
        stranger = await any_socket(loner)
        await any_socket(crowd[0])
        await stranger.settle()
        assert [p["user_id"] for p in stranger.named("presence_changed")] == [loner.id]

    async def test_the_last_tab_takes_its_user_offline(self, app, cast, any_socket):
        app.core.presence.grace_s = 0.05
        grace = await any_socket(cast.grace)
        tabs = [await any_socket(cast.ada) for _ in range(2)]
        for tab in tabs:
            assert app.core.presence.of(cast.ada.id) == "online"
            await tab.close()
        where = {"user_id": cast.ada.id, "presence": "offline"}
        assert await grace.fact("presence_changed", lambda p: p == where)


class TestSessionEnd:
    async def test_its_tabs_hear_it_and_close(self, cast, core, any_socket):
        from hai.core.identity import sessions

        ending, other = await any_socket(cast.ada), await any_socket(cast.grace)
        for one in (ending, other):
            await one.settle()
        [row] = [
            row
            for row in await sessions.list_of(core, cast.ada.id)
            if row.id == await session_id_of(core, cast, any_socket, ending)
        ]
        await sessions.end(core, cast.ada.id, row.id)
        await asyncio.wait_for(ending.closed.wait(), 60)
        assert ending.named("session_ended") in ([{}], [])  # [] over polling
        await other.settle()
        assert not other.closed.is_set()


async def session_id_of(core, cast, any_socket, socket):
    from hai.core.identity import sessions

    native = type(socket).__name__ == "NativeSocket"
    token = cast.ada.token if native else cast.ada.cookie
    return sessions.find(core, token).session_id

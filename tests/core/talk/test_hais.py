"""Sending, editing, deleting hais, and pages of them."""

import asyncio
import json

import pytest

from hai import errors
from hai.core.pictures.arriving import receiver_to, sink_for
from hai.storage import hais as rows
from hai.storage.database import execute
from tests.core.pictures.test_stored import upload
from tests.factories import make_hai, make_room, make_user, order
from tests.pictures import big_png, picture


async def page(core, person, room, **payload):
    ack = await order(core, person, "get_hais", {"room_id": room["id"], **payload})
    return [hai["text"] for hai in ack["hais"]], ack["has_more"]


def sending(room, text="hai!", client_id="one", **more):
    return {"room_id": room["id"], "text": text, "client_id": client_id, **more}


async def test_a_hai_sent_twice_is_stored_once(core, cast):
    first = await order(core, cast.ada, "send_hai", sending(cast.lab))
    again = await order(core, cast.ada, "send_hai", sending(cast.lab))
    assert first == again
    assert await page(core, cast.ada, cast.lab) == (["hai!"], False)


async def test_a_hai_sent_many_times_at_once_is_stored_once(core, cast):
    """The twins may be in one batch of the writer, or in several."""
    sends = [order(core, cast.ada, "send_hai", sending(cast.lab)) for _ in range(20)]
    acks = await asyncio.gather(*sends)
    assert all(ack == acks[0] for ack in acks)
    assert await page(core, cast.ada, cast.lab) == (["hai!"], False)


async def test_a_retry_acks_the_hai_as_it_is_now(core, cast):
    hai = (await order(core, cast.ada, "send_hai", sending(cast.lab)))["hai"]
    await order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": "new"})
    again = await order(core, cast.ada, "send_hai", sending(cast.lab))
    assert (again["hai"]["id"], again["hai"]["text"]) == (hai["id"], "new")
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    again = await order(core, cast.ada, "send_hai", sending(cast.lab))
    assert "deleted_at" in again["hai"]


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_client_id_is_for_one_order(core, cast, in_one_batch):
    first = order(core, cast.ada, "send_hai", sending(cast.lab))
    if not in_one_batch:
        await first
    other = order(core, cast.ada, "send_hai", sending(cast.lab, "other"))
    if in_one_batch:
        _, refused = await asyncio.gather(first, other, return_exceptions=True)
    else:
        refused = (await asyncio.gather(other, return_exceptions=True))[0]
    assert isinstance(refused, errors.ClientIdReused)
    assert await page(core, cast.ada, cast.lab) == (["hai!"], False)


async def test_two_people_may_choose_the_same_client_id(core, cast):
    await order(core, cast.ada, "send_hai", sending(cast.lab, "from ada"))
    await order(core, cast.grace, "send_hai", sending(cast.lab, "from grace"))
    texts, _ = await page(core, cast.ada, cast.lab)
    assert texts == ["from ada", "from grace"]


async def test_a_bad_send_spoils_no_other_of_its_batch(core, cast):
    sends = [
        order(core, cast.linus, "send_hai", sending(cast.lab, "not a member")),
        order(core, cast.ada, "send_hai", sending(cast.lab, "good")),
        order(core, cast.ada, "send_hai", sending(cast.lab, "x", "2", reply_to=9**9)),
        order(core, cast.ada, "send_hai", sending(cast.lab, "x", "3", picture_ids=[7])),
        order(core, cast.ada, "send_hai", sending(cast.lab, "good too", "4")),
    ]
    results = await asyncio.gather(*sends, return_exceptions=True)
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["NotFound", "dict", "NotFound", "NotFound", "dict"]
    assert (await page(core, cast.ada, cast.lab))[0] == ["good", "good too"]


async def test_who_may_not_send(core, cast):
    """An open room may be known of (forbidden), a closed one may not."""
    other = await make_room(core, cast.ada, name="Open", kind="open")
    with pytest.raises(errors.Forbidden):
        await order(core, cast.linus, "send_hai", sending(other))
    for room in (cast.lab, cast.direct, {"id": 12345}):
        with pytest.raises(errors.NotFound):
            await order(core, cast.linus, "send_hai", sending(room))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"text": "x" * 4001}, errors.TextTooLong),
        ({"text": " \n "}, errors.BadRequest),
        ({"text": None}, errors.BadRequest),
        ({"text": 7}, errors.BadRequest),
        ({"text": "a\0b"}, errors.BadRequest),
        ({"text": "\ud800"}, errors.BadRequest),
        ({"client_id": None}, errors.BadRequest),
        ({"client_id": ""}, errors.BadRequest),
        ({"client_id": "x" * 65}, errors.BadRequest),
        ({"client_id": 5}, errors.BadRequest),
        ({"room_id": "1"}, errors.BadRequest),
        ({"room_id": True}, errors.BadRequest),
        ({"room_id": 2**53}, errors.BadRequest),
        ({"room_id": 1.0}, errors.BadRequest),
        ({"reply_to": [1]}, errors.BadRequest),
        ({"picture_ids": [1, 1]}, errors.BadRequest),
        ({"picture_ids": list(range(1, 12))}, errors.BadRequest),
    ],
)
async def test_what_may_not_be_sent(core, cast, change, error):
    with pytest.raises(error):
        await order(core, cast.ada, "send_hai", sending(cast.lab) | change)
    assert await page(core, cast.ada, cast.lab) == ([], False)


@pytest.mark.parametrize(
    "text", ["x" * 4000, "🌊" * 4000, "  spaced  ", "שלום", "a\tb\n"]
)
async def test_text_is_kept_as_it_was_typed(core, cast, text):
    hai = await make_hai(core, cast.ada, cast.lab, text)
    assert hai["text"] == text
    assert (await page(core, cast.grace, cast.lab))[0] == [text]


async def test_html_is_there_only_when_formatting_makes_a_difference(core, cast):
    plain = await make_hai(core, cast.ada, cast.lab, "1 < 2 & 3")
    formatted = await make_hai(core, cast.ada, cast.lab, "*so* <b>x</b>")
    assert "html" not in plain
    assert formatted["html"] == "<p><em>so</em> &lt;b&gt;x&lt;/b&gt;</p>"


async def test_pages_of_a_room(core, cast):
    hais = [await make_hai(core, cast.ada, cast.lab, str(n)) for n in range(10)]
    ids = [hai["id"] for hai in hais]
    assert await page(core, cast.ada, cast.lab, limit=3) == (["7", "8", "9"], True)
    assert await page(core, cast.ada, cast.lab, before=ids[2]) == (["0", "1"], False)
    before = await page(core, cast.ada, cast.lab, before=ids[5], limit=2)
    assert before == (["3", "4"], True)
    after = await page(core, cast.ada, cast.lab, after=ids[7], limit=2)
    assert after == (["8", "9"], False)
    start = await page(core, cast.ada, cast.lab, after=0, limit=2)
    assert start == (["0", "1"], True)
    around = await page(core, cast.ada, cast.lab, around=ids[5], limit=4)
    assert around == (["3", "4", "5", "6"], True)


async def test_tombstones_are_left_out_of_pages(core, cast):
    first = await make_hai(core, cast.ada, cast.lab, "first")
    await make_hai(core, cast.ada, cast.lab, "second")
    await order(core, cast.ada, "delete_hai", {"hai_id": first["id"]})
    assert await page(core, cast.ada, cast.lab) == (["second"], False)
    assert await page(core, cast.ada, cast.lab, after=0) == (["second"], False)


async def test_a_page_ends_at_128_kib(core, cast):
    for n in range(40):
        await make_hai(core, cast.ada, cast.lab, f"{n:02}" + "x" * 3990)
    texts, has_more = await page(core, cast.ada, cast.lab, limit=100)
    assert has_more
    assert 20 < len(texts) < 40
    assert texts[-1].startswith("39")
    ack = await order(
        core, cast.ada, "get_changes", {"since_rev": cast.direct["rev"], "limit": 500}
    )
    assert ack["has_more"]
    assert ack["rev"] == ack["hais"][-1]["rev"]


@pytest.mark.parametrize("character", ["\x01", '"', "\n", "\u00e9", "\U0001f600"])
async def test_what_is_long_in_json_counts_so(core, cast, character):
    """Whatever it is written with, a page fits a socket's budget."""
    for n in range(40):
        await make_hai(core, cast.ada, cast.lab, f"{n:02}" + character * 3990 + ".")
    since = {"since_rev": cast.direct["rev"], "limit": 500}
    asked = ("get_hais", {"room_id": cast.lab["id"]}), ("get_changes", since)
    for name, payload in asked:
        ack = await order(core, cast.ada, name, payload)
        assert ack["has_more"] and ack["hais"]
        told = json.dumps(ack, ensure_ascii=False).encode()
        assert 60 * 1024 < len(told) <= 128 * 1024


async def test_only_members_read_pages(core, cast):
    await make_hai(core, cast.ada, cast.lab)
    with pytest.raises(errors.NotFound):
        await page(core, cast.linus, cast.lab)


@pytest.mark.parametrize(
    "payload",
    [{"limit": 101}, {"limit": 0}, {"before": 5, "after": 2}, {"around": "x"}],
)
async def test_a_page_that_makes_no_sense(core, cast, payload):
    with pytest.raises(errors.BadRequest):
        await page(core, cast.ada, cast.lab, **payload)


async def test_only_its_author_edits_a_hai(core, cast):
    hai = await make_hai(core, cast.grace, cast.lab)
    payload = {"hai_id": hai["id"], "text": "mine now"}
    with pytest.raises(errors.Forbidden):
        await order(core, cast.ada, "edit_hai", payload)
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "edit_hai", payload)
    edited = (await order(core, cast.grace, "edit_hai", payload))["hai"]
    assert edited["text"] == "mine now"
    assert edited["rev"] > hai["rev"]
    assert edited["edited_at"] >= hai["sent_at"]


async def test_an_edit_to_nothing_is_refused(core, cast):
    hai = await make_hai(core, cast.ada, cast.lab)
    with pytest.raises(errors.BadRequest):
        await order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": " "})


async def test_its_author_and_who_may_change_the_room_delete_a_hai(core, cast):
    hai = await make_hai(core, cast.grace, cast.lab, "secret")
    payload = {"hai_id": hai["id"]}
    with pytest.raises(errors.NotFound):
        await order(core, cast.linus, "delete_hai", payload)
    deleted = (await order(core, cast.ada, "delete_hai", payload))["hai"]
    assert (deleted["text"], deleted["reactions"], deleted["pictures"]) == ("", {}, [])
    assert await order(core, cast.grace, "delete_hai", payload) == {"hai": deleted}
    theirs = await make_hai(core, cast.ada, cast.lab)
    with pytest.raises(errors.Forbidden):
        await order(core, cast.grace, "delete_hai", {"hai_id": theirs["id"]})


async def test_a_reply_to_what_was_deleted_meanwhile_is_sent(core, cast):
    """It waited without a network; its sender could do nothing about it."""
    first = await make_hai(core, cast.ada, cast.lab, "shall we?")
    await order(core, cast.ada, "delete_hai", {"hai_id": first["id"]})
    reply = await make_hai(core, cast.grace, cast.lab, "yes", reply_to=first["id"])
    assert reply["reply_to"] == first["id"]
    with pytest.raises(errors.NotFound):
        await make_hai(core, cast.grace, cast.direct, "no", reply_to=first["id"])


async def test_nothing_of_a_deleted_hai_stays_in_the_file(core, cast):
    hai = await make_hai(core, cast.ada, cast.lab, "*unrepeatable* words")
    await order(core, cast.grace, "add_reaction", {"hai_id": hai["id"], "emoji": "🦈"})
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    row = core.db.read_now(rows.find, [hai["id"]])[0]
    assert row[5:7] == ("", None)
    counts = core.db.read_now(
        lambda: execute(
            "SELECT (SELECT count(*) FROM reactions), (SELECT count(*) FROM hais_index"
            " WHERE hais_index MATCH 'unrepeatable')"
        ).fetchone()
    )
    assert counts == (0, 0)


async def test_a_reply_names_a_hai_of_its_room(core, cast):
    first = await make_hai(core, cast.ada, cast.lab)
    reply = await make_hai(core, cast.grace, cast.lab, "yes", reply_to=first["id"])
    assert reply["reply_to"] == first["id"]
    with pytest.raises(errors.NotFound):
        await make_hai(core, cast.grace, cast.direct, "no", reply_to=first["id"])


async def pictured(core, person, room, count=2, **fields):
    """A hai with pictures."""
    ids = [(await upload(core, person, room, picture()))["id"] for _ in range(count)]
    return await make_hai(core, person, room, "", picture_ids=ids, **fields)


async def test_a_reply_names_a_picture_of_the_hai_it_replies_to(core, cast):
    first = await pictured(core, cast.ada, cast.lab)
    other = await pictured(core, cast.ada, cast.lab)
    answered = {"reply_to": first["id"], "reply_to_picture": first["pictures"][1]["id"]}
    reply = await make_hai(core, cast.grace, cast.lab, "that one", **answered)
    assert answered.items() <= reply.items()
    ack = await order(core, cast.ada, "get_hais", {"room_id": cast.lab["id"]})
    assert ack["hais"][-1] == reply
    for wrong in (other["pictures"][0]["id"], 9**9):
        with pytest.raises(errors.NotFound):
            payload = answered | {"reply_to_picture": wrong}
            await make_hai(core, cast.grace, cast.lab, "no", **payload)


async def test_a_picture_is_replied_to_with_its_hai(core, cast):
    first = await pictured(core, cast.ada, cast.lab)
    lone = {"reply_to_picture": first["pictures"][0]["id"]}
    with pytest.raises(errors.BadRequest) as refused:
        await make_hai(core, cast.grace, cast.lab, "no", **lone)
    assert refused.value.details == {"field": "reply_to_picture"}


async def test_which_picture_one_replies_to_is_part_of_the_order(core, cast):
    first = await pictured(core, cast.ada, cast.lab)
    one, other = [picture["id"] for picture in first["pictures"]]
    about = {"reply_to": first["id"], "client_id": "same"}
    reply = await make_hai(core, cast.ada, cast.lab, "x", reply_to_picture=one, **about)
    again = await make_hai(core, cast.ada, cast.lab, "x", reply_to_picture=one, **about)
    assert again == reply
    for changed in ({"reply_to_picture": other}, {}):
        with pytest.raises(errors.ClientIdReused):
            await make_hai(core, cast.ada, cast.lab, "x", **about, **changed)


async def test_a_reply_outlives_the_picture(core, cast):
    first = await pictured(core, cast.ada, cast.lab)
    answered = {"reply_to": first["id"], "reply_to_picture": first["pictures"][0]["id"]}
    reply = await make_hai(core, cast.grace, cast.lab, "oh", **answered)
    await order(core, cast.ada, "delete_hai", {"hai_id": first["id"]})
    ack = await order(core, cast.ada, "get_hais", {"room_id": cast.lab["id"]})
    assert ack["hais"] == [reply]
    late = await make_hai(core, cast.grace, cast.lab, "written before", **answered)
    assert late["reply_to_picture"] == answered["reply_to_picture"]
    other = await pictured(core, cast.ada, cast.lab)
    answered["reply_to_picture"] = other["pictures"][0]["id"]
    with pytest.raises(errors.NotFound):
        await make_hai(core, cast.grace, cast.lab, "another's", **answered)


async def test_a_reply_to_a_tombstone_names_no_picture_that_is_still_to_come(
    core, cast
):
    first = await pictured(core, cast.ada, cast.lab)
    await order(core, cast.ada, "delete_hai", {"hai_id": first["id"]})
    arriving = receiver_to(sink_for(core, cast.grace.identity, cast.lab["id"], "x.png"))
    await arriving.feed(big_png(600_000)[:400_000])  # a chunk of it is stored
    assert arriving.sink.picture_id
    for picture_id in (arriving.sink.picture_id, arriving.sink.picture_id + 1, 2**40):
        about = {"reply_to": first["id"], "reply_to_picture": picture_id}
        with pytest.raises(errors.NotFound):
            await make_hai(core, cast.grace, cast.lab, "early", **about)


async def test_pages_of_pictures_leave_out_what_has_none(core, cast):
    sent = []
    for number in range(6):
        sent.append(await pictured(core, cast.ada, cast.lab))
        await make_hai(core, cast.ada, cast.lab, f"words {number}")
    await order(core, cast.ada, "delete_hai", {"hai_id": sent.pop(2)["id"]})
    about = {"room_id": cast.lab["id"], "with_pictures": True, "limit": 2}

    async def ids(**edge):
        ack = await order(core, cast.grace, "get_hais", about | edge)
        return [hai["id"] for hai in ack["hais"]], ack["has_more"]

    known = [hai["id"] for hai in sent]
    assert await ids() == (known[-2:], True)
    assert await ids(before=known[2]) == (known[:2], False)
    assert await ids(after=known[1]) == (known[2:4], True)
    assert await ids(after=known[2]) == (known[3:], False)
    assert await ids(around=known[2]) == (known[1:3], True)
    with pytest.raises(errors.BadRequest):
        await ids(with_pictures=1)


async def test_sending_costs_the_same_statements_whatever_the_size_of_the_room(
    core, cast
):
    """Counted on the writer's own connection."""
    big = await make_room(core, cast.ada, *[await make_user(core) for _ in range(60)])
    counts = []
    for room in (cast.direct, big):
        await make_hai(core, cast.ada, room, "warm up")
        counts.append(await statements_of(core, make_hai(core, cast.ada, room)))
    assert counts[0] == counts[1]
    assert 5 <= counts[0] <= 25  # those of the index and the triggers included


async def statements_of(core, act):
    """How many statements the writer ran for this one write."""
    seen = []

    def watch(tx):
        tx.engine.connection().set_trace_callback(seen.append)

    await core.db.write(watch)
    del seen[:]
    await act
    count = len(seen)
    await core.db.write(lambda tx: tx.engine.connection().set_trace_callback(None))
    return count


async def test_who_has_left_is_acked_nothing_of_the_room(core, cast):
    """Not even a hai of one's own: others may have reacted to it since."""
    await order(core, cast.grace, "send_hai", sending(cast.lab))
    payload = {"room_id": cast.lab["id"], "user_id": cast.grace.id}
    await order(core, cast.ada, "remove_member", payload)
    with pytest.raises(errors.NotFound):
        await order(core, cast.grace, "send_hai", sending(cast.lab))

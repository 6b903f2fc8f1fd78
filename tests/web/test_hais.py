"""The plain form: text and pictures in one request, sent once however often."""

import asyncio

import pytest

from hai.storage.models import Picture
from tests.clients import encode_multipart
from tests.pictures import file, picture

HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


async def newest(client, person, room, limit=100):
    path = f"/api/v1/rooms/{room['id']}/hais?limit={limit}"
    return (await client(person).get(path)).json["hais"]


def path_of(room):
    return f"/rooms/{room['id']}/hais"


async def test_the_form_sends_and_leads_back(client, cast):
    form = {"text": "low tide", "client_id": "one", "reply_to": ""}
    answer = await client(cast.ada).post(path_of(cast.lounge), form=form, headers=HTML)
    assert (answer.status, answer.location) == (303, f"/rooms/{cast.lounge['id']}")
    found = await newest(client, cast.linus, cast.lounge)
    assert [hai["text"] for hai in found] == ["low tide"]


async def test_the_form_sends_pictures_in_the_same_request(client, cast):
    files = [file(picture(), "a.png"), file(picture("GIF"), "b.gif")]
    form = {"text": "two", "client_id": "one"}
    answer = await client(cast.ada).post(
        path_of(cast.lounge), form=form, files=files, headers=JSON
    )
    assert answer.status == 201
    pictures = answer.json["hai"]["pictures"]
    assert [found["name"] for found in pictures] == ["a.png", "b.gif"]
    served = await client(cast.linus).get(pictures[1]["url"])
    assert served.body == picture("GIF")


async def test_an_empty_form_waves(client, cast):
    """A browser sends an empty file input as a part without a name."""
    for files in (None, [file(b"", "")]):
        form = {"text": "", "client_id": f"wave {files}"}
        answer = await client(cast.ada).post(
            path_of(cast.lounge), form=form, files=files
        )
        assert answer.status == 303
    found = await newest(client, cast.ada, cast.lounge)
    assert [hai["text"] for hai in found] == ["hai!", "hai!"]


async def test_a_picture_needs_no_words(client, cast):
    answer = await client(cast.ada).post(
        path_of(cast.lounge), form={"text": ""}, files=[file(picture())], headers=JSON
    )
    assert answer.json["hai"]["text"] == ""


async def test_a_form_sent_twice_is_one_hai(core, client, cast):
    form = {"text": "once", "client_id": "one"}
    files = [file(picture(), "a.png"), file(picture("GIF"), "b.gif")]
    first, again = [
        await client(cast.ada).post(
            path_of(cast.lounge), form=form, files=files, headers=JSON
        )
        for _ in "12"
    ]
    assert first.json == again.json
    assert len(await newest(client, cast.ada, cast.lounge)) == 1
    await are_left(core, 2)


async def are_left(core, count):
    """Wait until the pictures that were taken back are swept."""
    async with asyncio.timeout(60):
        while await core.db.read(Picture.select().count) != count:
            await asyncio.sleep(0.01)


async def test_another_order_under_the_same_client_id_is_refused(core, client, cast):
    form = {"text": "once", "client_id": "one"}
    files = [file(picture())]
    await client(cast.ada).post(path_of(cast.lounge), form=form, files=files)
    for other, pictures in [
        (form | {"text": "twice"}, files),
        (form, [file(picture("GIF"))]),
        (form, None),
    ]:
        answer = await client(cast.ada).post(
            path_of(cast.lounge), form=other, files=pictures, headers=JSON
        )
        assert answer.code == "client_id_reused"
    await are_left(core, 1)


async def test_a_refused_hai_is_drawn_again_with_what_was_typed(client, cast):
    form = {"text": "long " * 900, "client_id": "mine-1"}
    answer = await client(cast.ada).post(path_of(cast.lounge), form=form, headers=HTML)
    assert answer.status == 422
    assert "long long" in answer.text and "mine-1" in answer.text
    assert "4,000" in answer.text


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"text": "x" * 4001}, "text_too_long"),
        ({"text": "x", "reply_to": "999999"}, "not_found"),
        ({"text": "x", "reply_to": "nonsense"}, "bad_request"),
        ({"text": "x", "client_id": "x" * 65}, "bad_request"),
        ({"text": "nul\0"}, "bad_request"),
        ({"text": "x", "picture_ids": "12345"}, "not_found"),
        ({"text": "x", "picture_ids": "x"}, "bad_request"),
    ],
)
async def test_a_refused_hai_leaves_no_pictures(core, client, cast, form, code):
    for files in (None, [file(picture())]):
        answer = await client(cast.ada).post(
            path_of(cast.lounge), form=form, files=files, headers=JSON
        )
        assert answer.code == code
    assert await newest(client, cast.ada, cast.lounge) == []
    await are_left(core, 0)


async def test_a_form_of_bytes_that_are_no_text_is_refused(client, cast):
    body, kind = encode_multipart({"text": "TEXT"}, [])
    for data, type_ in [
        (body.replace(b"TEXT", b"\xff\xfe"), kind),
        (b"text=%ff%fe", "application/x-www-form-urlencoded"),
    ]:
        answer = await client(cast.ada).post(
            path_of(cast.lounge), body=data, headers={"Content-Type": type_}
        )
        assert answer.code == "bad_request"


async def test_those_outside_cannot_send(client, cast):
    form = {"text": "let me in"}
    for files in (None, [file(picture())]):
        answer = await client(cast.linus).post(
            path_of(cast.lab), form=form, files=files
        )
        assert answer.code == "not_found"
    assert await newest(client, cast.ada, cast.lab) == []


async def test_uploaded_pictures_are_sent_by_their_ids(client, cast):
    path = f"/rooms/{cast.lounge['id']}/pictures"
    files = [file(picture(), f"{n}.png") for n in range(10)]
    made = (await client(cast.ada).post(path, files=files)).json["pictures"]
    ids = [one["id"] for one in made][::-1]
    order = {"text": "all", "picture_ids": ids}
    answer = await client(cast.ada).post(path_of(cast.lounge), json=order)
    assert [one["id"] for one in answer.json["hai"]["pictures"]] == ids
    eleven = {"text": "x", "picture_ids": list(range(1, 12))}
    answer = await client(cast.ada).post(path_of(cast.lounge), json=eleven)
    assert answer.code == "bad_request"


async def test_lines_of_a_form_end_as_everywhere(client, cast):
    """Browsers send CR LF, programs LF; the same text is the same hai."""
    for form, files in (({"text": "a\r\nb"}, None), ({"text": "c\r\nd"}, [])):
        await client(cast.ada).post(path_of(cast.lounge), form=form, files=files)
    found = await newest(client, cast.ada, cast.lounge)
    assert [hai["text"] for hai in found] == ["a\nb", "c\nd"]


async def test_who_was_signed_out_meanwhile_gets_their_words_back(client, cast):
    form = {"text": "A long thought <i>of</i> mine", "client_id": "mine"}
    path = f"/rooms/{cast.lounge['id']}/hais"
    for files in (None, [("picture", "", "application/octet-stream", b"")]):
        headers = {"Accept": "text/html"}
        answer = await client().post(path, form=form, files=files, headers=headers)
        assert answer.status == 401
        assert "A long thought &lt;i&gt;of&lt;/i&gt; mine</textarea>" in answer.text
        assert f"/sign_in?next=%2Frooms%2F{cast.lounge['id']}" in answer.text
    program = await client().post(path, json=form)
    assert program.code == "unauthorized"

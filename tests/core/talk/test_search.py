"""Search sees what its reader may see, and survives anything typed."""

import pytest

from hai.core.talk import search
from tests.factories import make_hai, order


async def texts(core, person, query, **more):
    found = await search.search(core, person.identity, query, **more)
    return [hai["text"] for hai in found["hais"]]


async def test_words_are_found_newest_first(core, cast):
    for text in ("a red boat", "a blue boat", "a red car"):
        await make_hai(core, cast.ada, cast.lab, text)
    assert await texts(core, cast.grace, "boat") == ["a blue boat", "a red boat"]
    assert await texts(core, cast.grace, "RED boat") == ["a red boat"]
    assert await texts(core, cast.grace, "bo") == ["a blue boat", "a red boat"]


async def test_nobody_finds_what_is_not_theirs(core, cast):
    await make_hai(core, cast.ada, cast.lab, "secret")
    await make_hai(core, cast.ada, cast.direct, "secret")
    assert len(await texts(core, cast.grace, "secret")) == 2
    assert await texts(core, cast.linus, "secret") == []


async def test_edits_and_deletions_are_followed(core, cast):
    hai = await make_hai(core, cast.ada, cast.lab, "before")
    await order(core, cast.ada, "edit_hai", {"hai_id": hai["id"], "text": "after"})
    assert await texts(core, cast.ada, "before") == []
    assert await texts(core, cast.ada, "after") == ["after"]
    await order(core, cast.ada, "delete_hai", {"hai_id": hai["id"]})
    assert await texts(core, cast.ada, "after") == []


async def test_accents_and_other_scripts(core, cast):
    for text in ("Crème brûlée", "Привет, мир", "שלום עולם"):
        await make_hai(core, cast.ada, cast.lab, text)
    assert await texts(core, cast.ada, "creme brulee") == ["Crème brûlée"]
    assert await texts(core, cast.ada, "мир") == ["Привет, мир"]
    assert await texts(core, cast.ada, "שלום") == ["שלום עולם"]


@pytest.mark.parametrize(
    "query",
    ["", '"', '""" OR', "a AND", "NEAR(", "*", "text:x", "- -", "\0", "(" * 500, "😀"],
)
async def test_no_query_is_an_error(core, cast, query):
    await make_hai(core, cast.ada, cast.lab, "words")
    assert await texts(core, cast.ada, query) == []


async def test_paging_back_through_the_hits(core, cast):
    hais = [await make_hai(core, cast.ada, cast.lab, f"wave {n}") for n in range(5)]
    found = await search.search(core, cast.ada.identity, "wave", limit=2)
    assert [hai["text"] for hai in found["hais"]] == ["wave 4", "wave 3"]
    assert found["has_more"]
    rest = await texts(core, cast.ada, "wave", before=hais[3]["id"], limit=5)
    assert rest == ["wave 2", "wave 1", "wave 0"]


async def test_an_accent_may_be_typed_as_a_sign_of_its_own(core, cast):
    hai = await make_hai(core, cast.ada, cast.lounge, "Olá, até já!")
    for query in ("até", "ate\u0301", "ola\u0301 ate"):
        found = await search.search(core, cast.grace.identity, query)
        assert [hit["id"] for hit in found["hais"]] == [hai["id"]]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("私は日本語を勉強します", "日本語"),
        ("今天的海很平静", "海很 平静"),
        ("วันนี้ทะเลสงบมาก", "ทะเล"),
    ],
)
async def test_words_inside_scripts_without_spaces_are_found(core, cast, text, query):
    hai = await make_hai(core, cast.ada, cast.lab, text)
    await make_hai(core, cast.ada, cast.lab, "The sea is calm.")
    found = await search.search(core, cast.grace.identity, query)
    assert [hit["id"] for hit in found["hais"]] == [hai["id"]]
    none = await search.search(core, cast.grace.identity, query + "魚")
    others = await search.search(core, cast.linus.identity, query)
    assert none["hais"] == others["hais"] == []


async def test_paging_back_inside_scripts_without_spaces(core, cast):
    sent = [await make_hai(core, cast.ada, cast.lab, f"平静{n}") for n in range(3)]
    page = await search.search(core, cast.grace.identity, "静", limit=2)
    assert page["has_more"]
    rest = await search.search(
        core, cast.grace.identity, "静", before=page["hais"][-1]["id"]
    )
    assert [h["id"] for h in page["hais"] + rest["hais"]] == [
        h["id"] for h in reversed(sent)
    ]


@pytest.fixture
def hurried(monkeypatch):
    """Every search has time for one look, at three hais or hits."""
    monkeypatch.setattr(search, "BUDGET_S", 0)
    monkeypatch.setattr(search, "FIRST_CANDIDATES", 3)


async def parts(core, person, query):
    """All answers, each asked for from where the one before it stopped."""
    found = [await search.search(core, person.identity, query)]
    while found[-1]["has_more"]:
        before = found[-1]["before"]
        found.append(await search.search(core, person.identity, query, before=before))
    return found


@pytest.mark.parametrize(("text", "query"), [("平静 {}", "静"), ("calm {}", "calm")])
async def test_a_search_without_time_is_partial_and_goes_on_until_all_is_found(
    core, cast, hurried, text, query
):
    sent = []
    for number in range(5):
        sent.append(await make_hai(core, cast.ada, cast.lab, text.format(number)))
        await make_hai(core, cast.ada, cast.lounge, "The sea is rough.")
        await make_hai(core, cast.ada, cast.direct, text.format("for grace"))
    found = await parts(core, cast.grace, query)
    assert len(found) > 2
    assert all(part["is_partial"] for part in found[:-1])
    assert "is_partial" not in found[-1]
    assert "before" not in found[-1]
    ids = [hai["id"] for part in found for hai in part["hais"]]
    assert ids == sorted(set(ids), reverse=True)
    assert {hai["id"] for hai in sent} <= set(ids)
    assert len(ids) == 10
    for part in found:
        authors = {hai["user_id"] for hai in part["hais"]}
        assert {user["id"] for user in part["users"]} == authors


@pytest.mark.parametrize(("text", "query"), [("平静", "静"), ("calm", "cal")])
async def test_where_nothing_is_mine_the_search_goes_on_all_the_same(
    core, cast, hurried, text, query
):
    mine = await make_hai(core, cast.ada, cast.lounge, text)
    for _ in range(10):
        await make_hai(core, cast.ada, cast.lab, text)
    found = await parts(core, cast.linus, query)
    assert len(found) > 3
    assert found[0]["hais"] == []
    assert [hai["id"] for part in found for hai in part["hais"]] == [mine["id"]]


async def test_one_that_found_a_whole_page_is_not_partial(core, cast, hurried):
    for number in range(3):
        await make_hai(core, cast.ada, cast.lab, f"calm {number}")
    found = await search.search(core, cast.grace.identity, "calm", limit=2)
    assert [hai["text"] for hai in found["hais"]] == ["calm 2", "calm 1"]
    assert found["has_more"]
    assert "is_partial" not in found


async def test_a_long_search_lets_others_read_in_between(core, cast, monkeypatch):
    """It asks for its turn anew for every few hais."""
    monkeypatch.setattr(search, "FIRST_CANDIDATES", 3)
    monkeypatch.setattr(search, "SLICE_S", 0)  # every look is too long
    monkeypatch.setattr(search, "MIN_CANDIDATES", 2)
    for _ in range(9):
        await make_hai(core, cast.ada, cast.lab, "calm")
    before = core.db.readers.read_count
    assert len(await texts(core, cast.ada, "calm")) == 9
    assert core.db.readers.read_count - before == 5  # 3, 2, 2, 2, and none

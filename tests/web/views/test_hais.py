"""Hais as they are drawn."""

import json
from pathlib import Path

import pytest

from hai.web.views.hais import (
    QuoteView,
    excerpt,
    hai_views,
    is_new_above,
    is_run,
    quote_view,
    words_of,
)
from hai.web.views.people import NOBODY, user_avatar
from tests.web.views.made import hai, shown

MARKED = json.loads(Path(__file__).parents[2].joinpath("js/words.json").read_text())


def test_a_run_is_one_person_within_five_minutes():
    first = hai(1, sent_at=0)
    assert is_run(first, hai(2, sent_at=299_999))
    assert not is_run(first, hai(2, sent_at=300_000))
    assert not is_run(first, hai(2, user_id=3))
    assert not is_run(first, hai(2, reply_to=1))
    assert not is_run(None, first)


def test_the_line_stands_above_the_first_new_hai():
    state = {
        "me": {"id": 1},
        "room": {},
        "users": [],
        "hais": [hai(1), hai(2), hai(3)],
        "has_more_before": True,
        "new_after_hai_id": 2,
    }
    assert [view.is_new for view in hai_views(None, state)] == [False, False, True]
    state["new_after_hai_id"] = 0
    assert not any(view.is_new for view in hai_views(None, state))
    state["has_more_before"] = False
    assert [view.is_new for view in hai_views(None, state)] == [True, False, False]


def test_a_quote_shows_the_picture_that_is_replied_to():
    small = {"type": "image/webp", "width": 4, "height": 3, "url": "/small"}
    quoted = hai(7, pictures=[shown(1), shown(2, thumbnail=small, alt="A bay")])
    reply = hai(9, room_id=3, reply_to=7, reply_to_picture=2)
    ada = {"id": 2, "display_name": "Ada"}
    view = quote_view(reply, {7: quoted}, {2: ada}, [])
    path = "/rooms/3?around=7#picture_2"
    face = user_avatar(ada)
    assert view == QuoteView(path, "Ada", "A bay", face, "/small")
    bare = quote_view(reply | {"reply_to_picture": 1}, {7: quoted}, {2: ada}, [])
    assert (bare.text, bare.picture_url) == ("A picture", "/pictures/1")


@pytest.mark.parametrize("case", MARKED, ids=lambda case: case["words"][:12])
def test_what_is_quoted_are_the_words_not_their_marks(case):
    marked = hai(7, text="*", html=case["html"])
    assert words_of(marked) == case["words"]
    assert excerpt(marked) == " ".join(case["words"].split())
    assert words_of(hai(text="a *plain* <text>")) == "a *plain* <text>"


def test_a_quoted_picture_that_is_gone_leaves_words():
    reply = hai(9, room_id=3, reply_to=7, reply_to_picture=2)
    view = quote_view(reply, {}, {}, [])
    assert (view.text, view.picture_url) == ("An earlier picture", "")
    other = quote_view(reply, {7: hai(7, text="Words")}, {}, [])
    assert (other.text, other.picture_url) == ("Words", "")
    gone = quote_view(reply, {}, {}, [7])
    assert gone == QuoteView("", "", "A deleted hai", NOBODY)


@pytest.mark.parametrize(
    ("last_read", "has_more_before", "line_above", "is_above"),
    [
        (None, True, None, False),  # nothing is new
        (11, True, 12, False),
        (10, True, 11, False),
        (9, True, None, True),  # 10 may not be the first new one
        (0, True, None, True),
        (0, False, 10, False),
        (12, True, None, False),
    ],
)
def test_what_is_new_begins_on_the_page_or_above_it(
    last_read, has_more_before, line_above, is_above
):
    hais = [hai(id_) for id_ in (10, 11, 12)]
    state = {"me": {"id": 1}, "room": {}, "users": [], "hais": hais}
    state |= {"has_more_before": has_more_before}
    if last_read is not None:
        state["new_after_hai_id"] = last_read
    new = [view.hai["id"] for view in hai_views(None, state) if view.is_new]
    assert new == ([line_above] if line_above else [])
    assert is_new_above(None, state) == is_above

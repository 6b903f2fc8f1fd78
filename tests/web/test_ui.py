"""What templates are told: the same cases as tests/js, where both draw."""

import json
from pathlib import Path

import pytest

from hai import clock
from hai.web import ui

MARKED = json.loads(Path(__file__).parents[1].joinpath("js/words.json").read_text())
DAY_MS = 86_400_000
NOW_MS = 1_795_393_800_000  # Monday 23 November 2026, 00:30 UTC


def hai(id_=1, **changes):
    plain = {"id": id_, "user_id": 2, "text": "hai", "sent_at": 0}
    return plain | {"pictures": [], "reactions": {}} | changes


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("ada", "A"),
        ("émile", "É"),
        ("雪 Yuki", "雪"),
        ("@grace", "G"),
        ("🦈", "🦈"),
        ("", "?"),
    ],
)
def test_an_avatar_shows_the_first_letter(name, letter):
    assert ui.letter(name) == letter


@pytest.mark.parametrize(
    "text", ["🌊", "👩‍👩‍👧‍👦", "🇩🇪 🇯🇵", "❤️", "1️⃣", "👋🏽👋🏿", " 🎉🎉 "]
)
def test_emoji_alone_are_drawn_large(text):
    assert ui.size_of(hai(text=text)) == "emoji"


@pytest.mark.parametrize(
    "text", ["", "hi 🌊", "1", "#", "© ", "→", "🎉" * 7, "你好", "ㄱ"]
)
def test_words_are_not_emoji(text):
    assert ui.size_of(hai(text=text)) == "text"


def test_a_wave_is_drawn_large():
    assert ui.size_of(hai(text=" hai! ")) == "wave"
    assert ui.size_of(hai(text="hai!", pictures=[{}])) == "text"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, ""),
        (1, "Yesterday"),
        (3, "Fri"),
        (7, "16 Nov"),
        (365, "23 Nov 2025"),
        (-1, ""),
    ],
)
def test_days_are_called_as_one_would(monkeypatch, days, words):
    monkeypatch.setattr(ui, "now_ms", lambda: NOW_MS)
    assert clock.now_ms() > 0
    assert ui.day_words(NOW_MS - days * DAY_MS) == words


def test_a_run_is_one_person_within_five_minutes():
    first = hai(1, sent_at=0)
    assert ui.is_run(first, hai(2, sent_at=299_999))
    assert not ui.is_run(first, hai(2, sent_at=300_000))
    assert not ui.is_run(first, hai(2, user_id=3))
    assert not ui.is_run(first, hai(2, reply_to=1))
    assert not ui.is_run(None, first)


def test_the_line_stands_above_the_first_new_hai():
    state = {
        "me": {"id": 1},
        "room": {},
        "users": [],
        "hais": [hai(1), hai(2), hai(3)],
        "has_more_before": True,
        "new_after_hai_id": 2,
    }
    assert [view.is_new for view in ui.hai_views(None, state)] == [False, False, True]
    state["new_after_hai_id"] = 0
    assert not any(view.is_new for view in ui.hai_views(None, state))
    state["has_more_before"] = False
    assert [view.is_new for view in ui.hai_views(None, state)] == [True, False, False]


def test_the_carried_state_cannot_end_its_element():
    text = ui.page_json(None, text="</script><!--\u2028")
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"text": "</script><!--\u2028"}


def test_a_direct_room_is_called_by_the_others():
    users = [
        {"id": 1, "display_name": "Ada"},
        {"id": 2, "display_name": "Grace"},
        {"id": 3, "display_name": "Linus"},
    ]
    state = {"me": users[0], "users": users}
    titles = []
    for ids in ([1, 2], [1, 2, 3], [1]):
        room = {"id": 9, "kind": "direct", "member_ids": ids}
        titles.append(ui.room_view(None, room, state).title)
    assert titles == ["Grace", "Grace, Linus", "Notes to self"]


def test_browsers_are_named_as_well_as_one_can_tell():
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    words = [ui.browser_words(None, agent) for agent in (firefox, "curl/8", "", None)]
    assert words == ["Firefox on Linux", "curl", "A program", "A program"]


def shown(id_, **changes):
    plain = {"id": id_, "name": "IMG_1.jpg", "url": f"/pictures/{id_}", "bytes": 9}
    return plain | {"type": "image/jpeg", "width": 40, "height": 30} | changes


def test_videos_lie_among_pictures_and_voices_below():
    film = shown(2, type="video/mp4", width=1920, height=1080, duration_ms=7000)
    voice = shown(3, type="audio/ogg", width=0, height=0)
    mixed = hai(pictures=[shown(1), voice, film])
    one, two = ui.picture_views(mixed, "Ada")
    assert (one.kind, two.kind, two.length) == ("picture", "video", "0:07")
    assert one.tile.span + two.tile.span == 48
    assert two.words == "Video 2 of 2 from Ada, not described"
    assert ui.small_url(film) == ""


def test_a_picture_that_nobody_described_says_whose_and_which_it_is():
    views = ui.picture_views(hai(pictures=[shown(1), shown(2, alt="A bay")]), "Ada")
    words = [view.words for view in views]
    assert words == ["Picture 1 of 2 from Ada, not described", "A bay"]
    [view] = ui.picture_views(hai(pictures=[shown(1)]), "Ada")
    assert view.words == "Picture from Ada, not described"


def test_a_quote_shows_the_picture_that_is_replied_to():
    small = {"type": "image/webp", "width": 4, "height": 3, "url": "/small"}
    quoted = hai(7, pictures=[shown(1), shown(2, thumbnail=small, alt="A bay")])
    reply = hai(9, room_id=3, reply_to=7, reply_to_picture=2)
    ada = {"id": 2, "display_name": "Ada"}
    view = ui.quote_view(reply, {7: quoted}, {2: ada}, [])
    path = "/rooms/3?around=7#picture_2"
    face = ui.user_avatar(ada)
    assert view == ui.QuoteView(path, "Ada", "A bay", face, "/small")
    bare = ui.quote_view(reply | {"reply_to_picture": 1}, {7: quoted}, {2: ada}, [])
    assert (bare.text, bare.picture_url) == ("A picture", "/pictures/1")


@pytest.mark.parametrize("case", MARKED, ids=lambda case: case["words"][:12])
def test_what_is_quoted_are_the_words_not_their_marks(case):
    marked = hai(7, text="*", html=case["html"])
    assert ui.words_of(marked) == case["words"]
    assert ui.excerpt(marked) == " ".join(case["words"].split())
    assert ui.words_of(hai(text="a *plain* <text>")) == "a *plain* <text>"


def test_a_quoted_picture_that_is_gone_leaves_words():
    reply = hai(9, room_id=3, reply_to=7, reply_to_picture=2)
    view = ui.quote_view(reply, {}, {}, [])
    assert (view.text, view.picture_url) == ("An earlier picture", "")
    other = ui.quote_view(reply, {7: hai(7, text="Words")}, {}, [])
    assert (other.text, other.picture_url) == ("Words", "")
    gone = ui.quote_view(reply, {}, {}, [7])
    assert gone == ui.QuoteView("", "", "A deleted hai", ui.NOBODY)


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
    new = [view.hai["id"] for view in ui.hai_views(None, state) if view.is_new]
    assert new == ([line_above] if line_above else [])
    assert ui.is_new_above(None, state) == is_above


def test_a_count_ends_where_counting_does():
    assert [ui.count_words(count) for count in (1, 999, 1000)] == ["1", "999", "999+"]


def test_pictures_that_were_not_kept_leave_their_words():
    gone = {"gone_at": 1, "type": "image/png"}
    film = gone | {"type": "video/mp4"}
    words = [[], [{}], [gone], [gone | {"alt": "A lake"}], [gone, {}, gone]]
    words += [[film], [film, gone]]
    assert [ui.gone_words(hai(pictures=pictures)) for pictures in words] == [
        "",
        "",
        "A picture, no longer kept",
        "A picture, no longer kept: A lake",
        "2 pictures, no longer kept",
        "A video, no longer kept",
        "2 pictures and videos, no longer kept",
    ]


def test_how_long_is_said_in_words_one_knows():
    assert [ui.days_words(days) for days in (0, 1, 7, 30, 365, 3650)] == [
        "for ever",
        "a day",
        "a week",
        "30 days",
        "a year",
        "3,650 days",
    ]
    assert [days for days, _ in ui.keeping_choices(None, 45)] == [0, 7, 30, 45, 90, 365]


@pytest.mark.parametrize(
    ("byte_count", "words"),
    [
        (0, "0 kB"),
        (812_000, "812 kB"),
        (999_900, "1.0 MB"),
        (34_000_000, "34 MB"),
        (1_234_000_000, "1.2 GB"),
        (2 * 10**15, "2,000 TB"),
    ],
)
def test_sizes_are_said_as_disks_are_sold(byte_count, words):
    assert ui.size_words(byte_count) == words


def test_what_somebody_is_called_is_no_format():
    deed = {"name": "deactivated", "user": "{what.__class__}"}
    assert ui.deed_words(None, deed) == "deactivated {what.__class__}"
    assert ui.deed_words(None, {"name": "of a newer Hai"}) == "did something"

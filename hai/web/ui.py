"""What templates need to draw: names, times, runs of hais, picture sizes, icons.

Plain values in, plain values out; no template decides or computes. What is drawn of
a hai here is drawn again by `static/js/models/hai_view.js`, from the same markup:
change both, a browser test compares them.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from hai.clock import now_ms
from hai.core.deeds import DEEDS
from hai.core.formatting import to_words
from hai.core.quotas import size_words
from hai.web.albums import Tile, album
from hai.web.receipts import ReceiptView, receipt_view

Dict = Mapping[str, Any]

RUN_MS = 5 * 60_000  # a longer pause is worth saying who and when again
HUES = 8
LIGHT_BYTES = 300 * 1024  # an original that a dense screen may have at once
QUOTE_CHARS = 120
MAX_BIG_EMOJI = 6
WAVE = "hai!"  # what an empty form sends

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
MONTHS += ["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# An emoji as people see one: flags, keycaps, or a base with its modifiers and joins.
EMOJI_BASE = "[\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff]"
EMOJI_PART = f"{EMOJI_BASE}[\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3"
    f"|{EMOJI_PART}(?:\u200d{EMOJI_PART})*)"
)
# In that range, but letters, arrows and punctuation rather than emoji by themselves.
NOT_EMOJI = re.compile("^[\u2010-\u2bff\u2e80-\u3299\u00a9\u00ae]$")


# ---- Words and letters ----


def letter(name: str) -> str:
    """What an avatar shows: the first letter or figure, else the first sign."""
    name = unicodedata.normalize("NFC", name.strip())
    for sign in name:
        if sign.isalnum():
            return sign.upper()[:1]
    return name[:1] or "?"


def hue(id_: int | str) -> int:
    return int(id_ or 0) % HUES


@dataclass(frozen=True, slots=True)
class AvatarView:
    """What stands for somebody: their picture or a letter; for a room, its letter."""

    letter: str
    hue: int
    url: str = ""
    user_id: int | str = ""
    presence: str = ""  # drawn as a dot; "" where it is not shown
    is_room: bool = False


def user_avatar(user: Dict) -> AvatarView:
    url = user.get("avatar_url", "")
    return AvatarView(letter(user["display_name"]), hue(user["id"]), url, user["id"])


def present_avatar(user: Dict) -> AvatarView:
    """With the dot that says whether they are here."""
    return replace(user_avatar(user), presence=user.get("presence", "offline"))


def letter_avatar(name: str, id_: int, is_room: bool = False) -> AvatarView:
    return AvatarView(letter(name), hue(id_), is_room=is_room)


def is_emoji_only(text: str) -> bool:
    """Up to six emoji and nothing else: drawn three times the size."""
    signs = EMOJI.findall(text)
    rest = EMOJI.sub("", text).strip()
    is_few = 0 < len(signs) <= MAX_BIG_EMOJI
    return is_few and not rest and not any(map(NOT_EMOJI.match, signs))


def size_of(hai: Dict) -> str:
    if hai["text"].strip() == WAVE and not hai["pictures"]:
        return "wave"
    return "emoji" if is_emoji_only(hai["text"]) else "text"


def plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def count_words(count: int) -> str:
    """How many are unread; counting stops at a thousand."""
    return "999+" if count > 999 else str(count)


def days_words(days: int) -> str:
    """For how long: "30 days", "a year"."""
    return {0: "for ever", 1: "a day", 7: "a week", 365: "a year"}.get(
        days, f"{days:,} days"
    )


# ---- Times: drawn in UTC, then in the reader's own zone by the page ----


def iso_time(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day_words(ms: int) -> str:
    """ "" for today, else "Yesterday", "Mon", "3 Oct" or "3 Oct 2024"."""
    then = datetime.fromtimestamp(ms / 1000, UTC)
    now = datetime.fromtimestamp(now_ms() / 1000, UTC)
    days = (now.date() - then.date()).days
    if days <= 1:
        return "Yesterday" if days == 1 else ""
    if days < 7:
        return DAYS[then.weekday()]
    year = "" if then.year == now.year else f" {then.year}"
    return f"{then.day} {MONTHS[then.month - 1]}{year}"


def clock_words(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M")


def exact_time(ms: int) -> str:
    then = datetime.fromtimestamp(ms / 1000, UTC)
    day = f"{DAYS[then.weekday()]} {then.day} {MONTHS[then.month - 1]} {then.year}"
    return f"{day}, {then:%H:%M}"


def when(ms: int) -> str:
    """Day and time in few words, for lists."""
    return f"{day_words(ms)} {clock_words(ms)}".strip()


def age_words(ms: int) -> str:
    """How long since then, in its largest unit."""
    minutes = max(0, now_ms() - ms) // 60_000
    if minutes < 60:
        return plural(minutes, "minute", "minutes")
    if minutes < 48 * 60:
        return plural(minutes // 60, "hour", "hours")
    return plural(minutes // (24 * 60), "day", "days")


# ---- Pictures ----


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture, video or voice; a voice has no tile."""

    id: int | str
    url: str
    sources: "PictureSources"
    words: str  # its alt, or what can be said of it without
    tile: Tile
    blur: str = ""
    is_animated: bool = False
    kind: str = "picture"  # or "video", "voice"
    duration_ms: int = 0

    @property
    def length(self) -> str:
        return length_words(self.duration_ms)


@dataclass(frozen=True, slots=True)
class PictureSources:
    """The attributes of its <img>, and the srcset for those who want stillness."""

    src: str
    srcset: str = ""
    sizes: str = ""
    still: str = ""
    poster: str = ""  # of a video


NO_TILE = Tile(0, 1, 1, 1)


# What the browser offers to choose from; phones convert what is not in it.
ACCEPTED = (
    *("image/png", "image/jpeg", "image/gif", "image/webp"),
    *("video/mp4", "video/webm", "video/quicktime"),
    *("audio/mp4", "audio/ogg", "audio/webm", ".m4a", ".opus"),
)


def accepted_types() -> str:
    return ",".join(ACCEPTED)


def max_bytes(handler: Any) -> dict[str, int]:
    """Of a file, by what it is; static/js/models/tray.js refuses larger ones."""
    config = handler.core.config
    return {
        "picture": config.max_picture_bytes,
        "video": config.max_video_bytes,
        "voice": config.max_voice_bytes,
    }


def kind_of(picture: Dict) -> str:
    kinds = {"video": "video", "audio": "voice"}
    return kinds.get(picture["type"].partition("/")[0], "picture")


def length_words(ms: int) -> str:
    """ "0:07", "12:30" or "1:02:03"; "" for nothing."""
    if not ms:
        return ""
    minutes, seconds = divmod(max(1, (ms + 500) // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def is_voice(picture: Dict) -> bool:
    return kind_of(picture) == "voice"


def voice_view(voice: Dict) -> PictureView:
    duration_ms = voice.get("duration_ms", 0)
    words = voice.get("alt") or f"Voice hai {length_words(duration_ms)}".strip()
    about = (voice["id"], voice["url"], PictureSources(""), words, NO_TILE)
    return PictureView(*about, kind="voice", duration_ms=duration_ms)


def picture_views(hai: Dict, name: str) -> list[PictureView]:
    """The pictures and videos of a hai, laid out; voices stand by themselves.
    name: of who sent it."""
    seen = [picture for picture in kept_pictures(hai) if not is_voice(picture)]
    tiles = album(tuple((picture["width"], picture["height"]) for picture in seen))
    return [
        PictureView(
            picture["id"],
            picture["url"],
            media_sources(picture, tile.width),
            picture.get("alt") or picture_words(picture, name, number, len(seen)),
            tile,
            picture.get("blur", ""),
            picture.get("is_animated", False),
            kind_of(picture),
            picture.get("duration_ms", 0),
        )
        for number, (picture, tile) in enumerate(zip(seen, tiles, strict=True), 1)
    ]


def picture_words(picture: Dict, name: str, number: int, count: int) -> str:
    """What is said of a picture that nobody described; its file's name says less."""
    what = kind_of(picture).capitalize()
    which = what if count == 1 else f"{what} {number} of {count}"
    return f"{which} from {name}, not described"


def media_sources(picture: Dict, box_px: int) -> "PictureSources":
    if kind_of(picture) == "video":
        return PictureSources("", poster=picture.get("thumbnail", {}).get("url", ""))
    return picture_sources(picture, box_px)


def picture_sources(picture: Dict, box_px: int) -> PictureSources:
    """Which file to show: the thumbnail, where there is one; on dense screens a
    light original; one that moves itself, but not to those who want stillness."""
    url, thumbnail = picture["url"], picture.get("thumbnail")
    if not thumbnail:
        return PictureSources(url)
    if picture.get("is_animated"):
        return PictureSources(url, still=thumbnail["url"])
    small_px, full_px = thumbnail["width"], picture["width"]
    if picture["bytes"] > LIGHT_BYTES or full_px <= small_px:
        return PictureSources(thumbnail["url"])
    srcset = f"{thumbnail['url']} {small_px}w, {url} {full_px}w"
    return PictureSources(thumbnail["url"], srcset, f"min({box_px}px, 92vw)")


def kept_pictures(hai: Dict) -> list[Dict]:
    return [picture for picture in hai["pictures"] if "gone_at" not in picture]


def gone_words(hai: Dict) -> str:
    """What stands where pictures were that are not kept; empty where none were."""
    gone = [picture for picture in hai["pictures"] if "gone_at" in picture]
    if len(gone) > 1:
        return f"{len(gone)} {media_words(gone).lower()}, no longer kept"
    if not gone:
        return ""
    words, alt = f"{media_words(gone)}, no longer kept", gone[0].get("alt")
    return f"{words}: {alt}" if alt else words


# ---- Hais ----


@dataclass(frozen=True, slots=True)
class ReactionView:
    emoji: str
    count: int
    names: str
    is_mine: bool


@dataclass(frozen=True, slots=True)
class QuoteView:
    path: str
    name: str
    text: str
    avatar: AvatarView
    picture_url: str = ""  # small; of the picture that is replied to


@dataclass(frozen=True, slots=True)
class HaiView:
    """One hai, ready to be drawn."""

    hai: Dict
    user: Dict
    avatar: AvatarView
    is_mine: bool
    can_delete: bool
    run: str  # "start" or "more"
    size: str  # "text", "emoji" or "wave"
    is_new: bool  # the first one I have not read
    quote: QuoteView
    pictures: list[PictureView]  # and videos
    voices: list[PictureView]
    gone: str  # in place of pictures that were not kept
    reactions: list[ReactionView]

    @property
    def may_describe(self) -> bool:
        return self.is_mine and bool(self.pictures or self.voices)

    receipt: ReceiptView | None = None  # of the one hai that it stands under


UNKNOWN = {"id": 0, "name": "", "display_name": "Somebody", "kind": "person"}
NOBODY = AvatarView("", 0)
NO_QUOTE = QuoteView("", "", "", NOBODY)
EARLIER = "An earlier hai"


def user_of(hai: Dict, users: dict[int, Dict]) -> Dict:
    """Who sent it, as well as one knows."""
    user_id = hai["user_id"]
    return users.get(user_id, UNKNOWN | {"id": user_id})


def is_run(before: Dict | None, hai: Dict) -> bool:
    """Whether the hai goes on where the same person just was."""
    return (
        before is not None
        and before["user_id"] == hai["user_id"]
        and hai["sent_at"] - before["sent_at"] < RUN_MS
        and "reply_to" not in hai
    )


def words_of(hai: Dict) -> str:
    """What a hai says, without the marks of its formatting."""
    return to_words(hai["html"]) if "html" in hai else str(hai["text"])


def excerpt(hai: Dict) -> str:
    """The first words of a hai, or what it holds instead of words."""
    words = " ".join(words_of(hai).split())
    if words:
        return words[:QUOTE_CHARS]
    return media_words(hai["pictures"])


MEDIA_WORDS = {
    "picture": ("A picture", "Pictures"),
    "video": ("A video", "Videos"),
    "voice": ("A voice hai", "Voice hais"),
}


def media_words(pictures: list[Dict]) -> str:
    kinds = {kind_of(picture) for picture in pictures} or {"picture"}
    if len(kinds) > 1:
        return "Pictures and videos"
    one, many = MEDIA_WORDS[kinds.pop()]
    return one if len(pictures) == 1 else many


def quote_view(
    hai: Dict, known: dict[int, Dict], users: dict[int, Dict], gone: list[int]
) -> QuoteView:
    if "reply_to" not in hai:
        return NO_QUOTE
    quoted_id, picture_id = hai["reply_to"], hai.get("reply_to_picture")
    if quoted_id in gone:
        return QuoteView("", "", "A deleted hai", NOBODY)
    part = f"picture_{picture_id}" if picture_id else f"hai_{quoted_id}"
    path = f"/rooms/{hai['room_id']}?around={quoted_id}#{part}"
    quoted = known.get(quoted_id)
    if not quoted:
        words = "An earlier picture" if picture_id else EARLIER
        return QuoteView(path, "", words, NOBODY)
    user = user_of(quoted, users)
    name, avatar = user["display_name"], user_avatar(user)
    picture = next((p for p in kept_pictures(quoted) if p["id"] == picture_id), None)
    if not picture:
        return QuoteView(path, name, excerpt(quoted), avatar)
    words = picture.get("alt", "")[:QUOTE_CHARS] or media_words([picture])
    return QuoteView(path, name, words, avatar, small_url(picture))


def small_url(picture: Dict) -> str:
    """The thumbnail; without one the picture itself, if it is light."""
    if "thumbnail" in picture:
        return str(picture["thumbnail"]["url"])
    is_light = kind_of(picture) == "picture" and picture["bytes"] <= LIGHT_BYTES
    return picture["url"] if is_light else ""


def reaction_views(hai: Dict, users: dict[int, Dict], me_id: int) -> list[ReactionView]:
    return [
        ReactionView(
            emoji,
            len(ids),
            ", ".join(users.get(id_, UNKNOWN)["display_name"] for id_ in ids),
            me_id in ids,
        )
        for emoji, ids in hai["reactions"].items()
    ]


def users_by_id(handler: Any, state: Dict | None) -> dict[int, Dict]:
    return {user["id"]: user for user in state["users"]} if state else {}


def hai_views(handler: Any, state: Dict) -> list[HaiView]:
    """The room's hais, in order, each knowing what stands before it."""
    users = users_by_id(handler, state)
    known = {hai["id"]: hai for hai in state["hais"]}
    me_id, new_after = state["me"]["id"], state.get("new_after_hai_id")
    gone = state.get("gone_hai_ids", [])
    receipt = receipt_view(state, users)
    views, before = [], None
    for hai in state["hais"]:
        is_mine = hai["user_id"] == me_id
        is_new = new_after is not None and _is_first_new(before, hai, state)
        user = user_of(hai, users)
        view = HaiView(
            hai=hai,
            user=user,
            avatar=user_avatar(user),
            is_mine=is_mine,
            can_delete=is_mine or state.get("can_change", False),
            run="more" if is_run(before, hai) and not is_new else "start",
            size=size_of(hai),
            is_new=is_new,
            quote=quote_view(hai, known, users, gone),
            pictures=picture_views(hai, user["display_name"]),
            voices=[voice_view(one) for one in kept_pictures(hai) if is_voice(one)],
            gone=gone_words(hai),
            reactions=reaction_views(hai, users, me_id),
            receipt=receipt if receipt and receipt.hai_id == hai["id"] else None,
        )
        views.append(view)
        before = hai
    return views


def _is_first_new(before: Dict | None, hai: Dict, state: Dict) -> bool:
    """Whether the line "New" stands above the hai."""
    last_read = state["new_after_hai_id"]
    is_edge = before["id"] <= last_read if before else not state["has_more_before"]
    return bool(is_edge and hai["id"] > last_read)


def is_new_above(handler: Any, state: Dict) -> bool:
    """Whether what is new begins above the hais of the page."""
    last_read = state.get("new_after_hai_id")
    if last_read is None or not state["hais"]:
        return False
    return bool(state["has_more_before"] and state["hais"][0]["id"] > last_read)


def blank_hai_view(handler: Any) -> HaiView:
    """What the page's `<template>` is drawn from."""
    hai = {"id": "", "user_id": "", "sent_at": 0, "text": "", "pictures": []}
    parts: tuple[Any, ...] = (
        *(False, False, "start", "text", False, NO_QUOTE),
        *([], [], "", []),
    )
    return HaiView(hai, UNKNOWN, NOBODY, *parts)


def blank_picture_view(handler: Any) -> PictureView:
    return PictureView("", "", PictureSources(""), "", NO_TILE)


def blank_reaction_view(handler: Any) -> ReactionView:
    return ReactionView("", 0, "", False)


# ---- Rooms ----


@dataclass(frozen=True, slots=True)
class RoomView:
    id: int
    title: str
    topic: str
    kind: str
    avatar: AvatarView
    other: Dict | None  # the one other person of a direct room
    unread: int


def others_of(room: Dict, users: dict[int, Dict], me_id: int) -> list[Dict]:
    ids = [id_ for id_ in room.get("member_ids", []) if id_ != me_id]
    return [users.get(id_, UNKNOWN) for id_ in ids]


def room_view(handler: Any, room: Dict, state: Dict | None) -> RoomView:
    """How a room is called and drawn for the one who looks."""
    is_direct = room["kind"] == "direct"
    users = users_by_id(handler, state) if is_direct else {}
    me_id = state["me"]["id"] if state else 0
    return _room_view(room, users, me_id)


def _room_view(room: Dict, users: dict[int, Dict], me_id: int) -> RoomView:
    others = others_of(room, users, me_id) if room["kind"] == "direct" else []
    title = room.get("name", "")
    if room["kind"] == "direct":
        title = ", ".join(user["display_name"] for user in others) or "Notes to self"
    other = others[0] if len(others) == 1 else None
    return RoomView(
        id=room["id"],
        title=title,
        topic=room.get("topic", ""),
        kind=room["kind"],
        avatar=room_avatar(room, title, other),
        other=other,
        unread=room.get("unread", 0),
    )


def room_avatar(room: Dict, title: str, other: Dict | None) -> AvatarView:
    if other:
        return present_avatar(other)
    return letter_avatar(title, room["id"], room["kind"] != "direct")


def blank_room_view(handler: Any) -> RoomView:
    return RoomView(0, "", "", "open", AvatarView("", 0, is_room=True), None, 0)


def room_groups(handler: Any, state: Dict) -> list[tuple[str, str, list[RoomView]]]:
    """Rooms, then people; in each, where something was said last comes first."""
    users, me_id = users_by_id(handler, state), state["me"]["id"]
    rooms = sorted(state["rooms"], key=lambda room: -room.get("last_hai_id", 0))
    views = [_room_view(room, users, me_id) for room in rooms]
    return [
        ("rooms", "Rooms", [view for view in views if view.kind != "direct"]),
        ("people", "People", [view for view in views if view.kind == "direct"]),
    ]


KEEPING = (0, 7, 30, 90, 365)  # days that the form offers


def keeping_choices(handler: Any, days: int) -> list[tuple[int, str]]:
    """(days, words) to choose from, with what holds now."""
    return [(choice, days_words(choice)) for choice in sorted({*KEEPING, days})]


def topic_words(handler: Any, room: Dict) -> str:
    """Under a room's name: what it is about, and how long it keeps pictures."""
    words = room.get("topic") or member_words(handler, room)
    days = room.get("picture_days", 0)
    return f"{words} · pictures are kept {days_words(days)}" if days else words


def deed_words(handler: Any, deed: Dict) -> str:
    """What was done, without by whom."""
    user = deed.get("user", "somebody")
    words: str = DEEDS.get(deed["name"], "did something")
    return words.format(user=user, what=deed.get("details", ""))


def member_words(handler: Any, room: Dict) -> str:
    return plural(room["member_count"], "person", "people")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something cannot be taken back."""

    title: str
    words: str
    yes: str


def leave_question(room: Dict) -> Question:
    title = f"Leave {room.get('name', 'this room')}?"
    if room["kind"] == "closed":
        words = "You can come back only when somebody in it asks you in again."
    else:
        words = "You can join it again whenever you like."
    return Question(title, words, "Leave")


def remove_question(user: Dict, title: str) -> Question:
    words = "What they said stays. They hear and see nothing more of this room."
    return Question(f"Remove {user['display_name']} from {title}?", words, "Remove")


# ---- The page ----


def page_json(handler: Any, **values: Any) -> str:
    """The state a page carries, safe inside `<script type="application/json">`."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def path_to(handler: Any, path: str, **query: Any) -> str:
    return f"{quote(path)}?{urlencode(query)}" if query else quote(path)


# What stands in a User-Agent, the more telling first.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
BROWSERS |= {"Safari": "Safari", "curl": "curl"}
SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android"}
SYSTEMS |= {"Windows": "Windows", "Mac OS": "Mac", "Linux": "Linux"}


def browser_words(handler: Any, user_agent: str | None) -> str:
    """ "Firefox on Linux", as well as one can tell."""
    agent = user_agent or ""
    browser = next((name for sign, name in BROWSERS.items() if sign in agent), "")
    system = next((name for sign, name in SYSTEMS.items() if sign in agent), "")
    return " on ".join(filter(None, (browser, system))) or "A program"


def _method(function: Any) -> Any:
    """A plain function as Tornado's ui method, which is handed the handler first."""
    return lambda handler, *args: function(*args)


UI_METHODS = {
    function.__name__: function
    for function in (
        users_by_id,
        hai_views,
        is_new_above,
        blank_hai_view,
        blank_picture_view,
        blank_reaction_view,
        blank_room_view,
        room_view,
        room_groups,
        max_bytes,
        member_words,
        keeping_choices,
        topic_words,
        deed_words,
        page_json,
        path_to,
        browser_words,
    )
} | {
    function.__name__: _method(function)
    for function in (
        accepted_types,
        user_of,
        user_avatar,
        present_avatar,
        letter_avatar,
        iso_time,
        day_words,
        clock_words,
        exact_time,
        when,
        excerpt,
        words_of,
        plural,
        count_words,
        leave_question,
        remove_question,
        size_words,
        days_words,
        age_words,
    )
}

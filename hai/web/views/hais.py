"""Hais as templates draw them: who, when, runs of one author, quotes and reactions.

What is drawn of a hai here is drawn again by `static/js/models/hai_view.js`, from the
same markup: change both, a browser test compares them.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hai.core.talk.formatting import to_words
from hai.web.views.people import (
    NOBODY,
    UNKNOWN,
    AvatarView,
    user_avatar,
    user_of,
    users_by_id,
)
from hai.web.views.pictures import (
    PictureView,
    gone_words,
    is_voice,
    kept_pictures,
    media_words,
    picture_views,
    small_url,
    voice_view,
)
from hai.web.views.receipts import ReceiptView, receipt_view
from hai.web.views.times import day_words
from hai.web.views.words import size_of

Dict = Mapping[str, Any]

RUN_MS = 5 * 60_000  # a longer pause is worth saying who and when again
QUOTE_CHARS = 120


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
    run: str  # "start" or "more"
    size: str  # "text", "emoji" or "wave"
    is_new: bool  # the first one I have not read
    quote: QuoteView | None  # of what it replies to
    pictures: list[PictureView]  # and videos
    voices: list[PictureView]
    gone: str  # in place of pictures that were not kept
    reactions: list[ReactionView]
    receipt: ReceiptView | None = None  # of the one hai that it stands under
    is_whole: bool = False  # drawn with every part, also those that it does not have


EARLIER = "An earlier hai"


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


def quote_view(
    hai: Dict, known: dict[int, Dict], users: dict[int, Dict], gone: list[int]
) -> QuoteView | None:
    if "reply_to" not in hai:
        return None
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


class HaiPlace(NamedTuple):
    """A hai where it stands: what its neighbours and its reader make of it."""

    hai: Dict
    is_mine: bool
    run: str
    is_new: bool
    receipt: ReceiptView | None


class Talk:
    """The hais of a room as one reader sees them."""

    def __init__(self, state: Dict) -> None:
        self.users = users_by_id(None, state)
        self.known = {hai["id"]: hai for hai in state["hais"]}
        self.gone = state.get("gone_hai_ids", [])
        self.me_id = state["me"]["id"]
        self.places = list(self._places(state))

    def _places(self, state: Dict) -> Iterator[HaiPlace]:
        """In their order, each knowing what stands before it."""
        new_after = state.get("new_after_hai_id")
        receipt = receipt_view(state, self.users)
        before = None
        for hai in state["hais"]:
            is_new = new_after is not None and _is_first_new(before, hai, state)
            run = "more" if is_run(before, hai) and not is_new else "start"
            its_own = receipt if receipt and receipt.hai_id == hai["id"] else None
            yield HaiPlace(hai, hai["user_id"] == self.me_id, run, is_new, its_own)
            before = hai

    def view_at(self, place: HaiPlace) -> HaiView:
        hai, user = place.hai, user_of(place.hai, self.users)
        return HaiView(
            hai=hai,
            user=user,
            avatar=user_avatar(user),
            is_mine=place.is_mine,
            run=place.run,
            size=size_of(hai),
            is_new=place.is_new,
            quote=quote_view(hai, self.known, self.users, self.gone),
            pictures=picture_views(hai, user["display_name"]),
            voices=[voice_view(one) for one in kept_pictures(hai) if is_voice(one)],
            gone=gone_words(hai),
            reactions=reaction_views(hai, self.users, self.me_id),
            receipt=place.receipt,
        )

    def key_at(self, place: HaiPlace) -> tuple[Hashable, ...]:
        """Everything that the view at this place is made from: as much as it takes to
        draw it the same for another reader, or later. 3 us, the view takes 15."""
        hai = place.hai
        day = day_words(hai["sent_at"]) if place.run == "start" else ""
        its_own = (hai["id"], hai["rev"], place.is_mine, place.run, day, place.receipt)
        author_rev = self._rev_of(hai["user_id"])
        return (*its_own, author_rev, self._quoted(hai), self._reactions(hai))

    def _rev_of(self, user_id: int) -> int:
        """No two changes of users have the same; 0: not known here."""
        user = self.users.get(user_id)
        return user["rev"] if user else 0

    def _quoted(self, hai: Dict) -> Hashable:
        quoted_id = hai.get("reply_to")
        if quoted_id is None:
            return None
        quoted = self.known.get(quoted_id)
        if quoted_id in self.gone or not quoted:
            return quoted_id in self.gone
        return quoted["rev"], self._rev_of(quoted["user_id"])

    def _reactions(self, hai: Dict) -> Hashable:
        """Which are mine, and the revs of all who reacted."""
        if not hai["reactions"]:
            return ()
        mine = tuple(
            emoji for emoji, ids in hai["reactions"].items() if self.me_id in ids
        )
        revs = [self._rev_of(id_) for ids in hai["reactions"].values() for id_ in ids]
        return mine, tuple(revs)


def hai_views(handler: Any, state: Dict) -> list[HaiView]:
    """The room's hais, in order, each knowing what stands before it."""
    talk = Talk(state)
    return [talk.view_at(place) for place in talk.places]


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
    """What the page's `<template>` is drawn from: every part, with nothing in it."""
    hai = {"id": "", "user_id": "", "sent_at": 0, "text": "", "pictures": []}
    quote = QuoteView("", "", "", NOBODY)
    parts: tuple[Any, ...] = (False, "start", "text", False, quote, [], [], "", [])
    view = HaiView(hai, UNKNOWN, NOBODY, *parts)
    return replace(view, is_whole=True)


def blank_reaction_view(handler: Any) -> ReactionView:
    return ReactionView("", 0, "", False)

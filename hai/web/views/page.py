"""What every template may call (`UI_METHODS`), and texts around a page."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from hai.core.audit import ACTION_WORDS, BY_STRANGERS
from hai.core.identity import devices
from hai.core.identity.oidc import host_of
from hai.core.quotas import size_words
from hai.core.talk import hai_cache
from hai.web.views.hais import (
    blank_hai_view,
    blank_reaction_view,
    is_new_above,
)
from hai.web.views.people import (
    letter_avatar,
    present_avatar,
    user_avatar,
    user_of,
    users_by_id,
)
from hai.web.views.pictures import accepted_types, blank_picture_view, max_bytes
from hai.web.views.qr import qr_code
from hai.web.views.rooms import (
    blank_room_view,
    keeping_choices,
    leave_confirmation,
    member_words,
    remove_confirmation,
    room_groups,
    room_view,
    topic_words,
)
from hai.web.views.times import (
    age_words,
    clock_words,
    date_words,
    day_words,
    exact_time,
    iso_time,
    when,
)
from hai.web.views.words import count_words, days_words, plural

Dict = Mapping[str, Any]


def audit_actor(handler: Any, record: Dict) -> str:
    """By whom it was done. reader_id: of the one who reads it, where they are "you"."""
    if record["name"] in BY_STRANGERS:
        return "Somebody"
    if "actor_id" in record and record["actor_id"] == record.get("reader_id"):
        return "You"
    actor: str = record.get("actor", "The operator")
    return actor


def audit_words(handler: Any, record: Dict) -> str:
    """What was done, without by whom."""
    user = record.get("user", "somebody")
    if "user_id" in record and record["user_id"] == record.get("reader_id"):
        user = "you"
    words: str = ACTION_WORDS.get(record["name"], "did something")
    return words.format(user=user, what=record.get("details", ""))


def provider_host(handler: Any) -> str:
    """Where people may sign in elsewhere; empty: nowhere."""
    return host_of(handler.core.config.oidc_issuer)


def page_json(handler: Any, **values: Any) -> str:
    """The state a page carries, safe inside `<script type="application/json">`."""
    text = hai_cache.encode(values)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028")


def path_to(handler: Any, path: str, **query: Any) -> str:
    return f"{quote(path)}?{urlencode(query)}" if query else quote(path)


def browser_words(handler: Any, user_agent: str | None) -> str:
    """ "Firefox on Linux", as well as one can tell."""
    return devices.words(user_agent)


def _method(function: Any) -> Any:
    """A plain function as a Tornado UI method, which gets the handler first."""
    return lambda handler, *args: function(*args)


UI_METHODS = {
    function.__name__: function
    for function in (
        users_by_id,
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
        audit_actor,
        audit_words,
        provider_host,
        page_json,
        path_to,
        browser_words,
    )
} | {
    function.__name__: _method(function)
    for function in (
        accepted_types,
        qr_code,
        user_of,
        user_avatar,
        present_avatar,
        letter_avatar,
        iso_time,
        date_words,
        day_words,
        clock_words,
        exact_time,
        when,
        plural,
        count_words,
        leave_confirmation,
        remove_confirmation,
        size_words,
        days_words,
        age_words,
    )
}

"""Times in words. Rendered in UTC; the page converts them to the reader's time zone."""

from datetime import UTC, datetime

from hai.clock import now_ms
from hai.web.views.words import plural

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun"]
MONTHS += ["Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


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


def date_words(ms: int) -> str:
    then = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{then.day} {MONTHS[then.month - 1]} {then.year}"


def when(ms: int) -> str:
    """Day and time in few words, for lists."""
    return f"{day_words(ms)} {clock_words(ms)}".strip()


def in_days(days: int) -> str:
    """When something ends that lasts so long; 0: never."""
    return f"In {plural(days, 'day', 'days')}" if days else "Never"


def age_words(ms: int) -> str:
    """How long ago, in the largest unit."""
    minutes = max(0, now_ms() - ms) // 60_000
    if minutes < 60:
        return plural(minutes, "minute", "minutes")
    if minutes < 48 * 60:
        return plural(minutes // 60, "hour", "hours")
    return plural(minutes // (24 * 60), "day", "days")

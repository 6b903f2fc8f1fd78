"""Parts of pages that are kept: a hai in its room, a hit of a search.

A key names everything that its part is drawn from: what is one reader's ("mine", their
reactions), the revs of all whose names are in it, and words that change with the day.
So a part may be in the pages of several readers, and stays when a page is drawn anew
because somebody wrote: one hai is drawn then instead of forty. At midnight only parts
that say "Yesterday" or a weekday are drawn again. What may differ in one day, a
language, a theme or a path prefix, belongs into `DRAWN_FOR`.
"""

from collections.abc import Hashable
from typing import Any, Protocol

from hai.cache import Cache
from hai.web.http.shell import Shell
from hai.web.views.found import Hits
from hai.web.views.hais import Talk

DRAWN_FOR = "en"
OBJECT_BYTES = 600  # of memory, besides the part itself: mostly its key


class Drawable(Protocol):
    """places: what parts there are, in order; view_at: what one is drawn from."""

    places: list[Any]

    def view_at(self, place: Any) -> Any: ...

    def key_at(self, place: Any) -> tuple[Hashable, ...]: ...


class Fragments:
    """What templates call for such parts."""

    def __init__(self, shell: Shell, cache: Cache) -> None:
        self.shell, self.cache = shell, cache

    def hai_items(self, state: dict[str, Any]) -> list[tuple[bool, bytes]]:
        """The hais of a room: (whether the line "New" stands above it, the item)."""
        talk = Talk(state)
        items = self._draw("hais/_each.html", talk)
        return [(p.is_new, item) for p, item in zip(talk.places, items, strict=True)]

    def hit_items(self, hais: list[Any], state: dict[str, Any]) -> list[bytes]:
        """The hits of a search."""
        return self._draw("search/_each.html", Hits(hais, state))

    def _draw(self, name: str, parts: Drawable) -> list[bytes]:
        """All that are not kept at once: to run a template takes 30 us each time."""
        keys = [(name, DRAWN_FOR, *parts.key_at(place)) for place in parts.places]
        found: list[Any] = [self.cache.find(key) for key in keys]
        missing = [at for at, kept in enumerate(found) if kept is None]
        if missing:
            views = [parts.view_at(parts.places[at]) for at in missing]
            for at, drawn in zip(missing, self._drawn(name, views), strict=True):
                found[at] = drawn
                self.cache.put(keys[at], drawn, OBJECT_BYTES + len(drawn))
        return found

    def _drawn(self, name: str, views: list[Any]) -> list[bytes]:
        drawn: list[bytes] = []

        def take(part: bytes) -> bytes:
            drawn.append(part)
            return b""

        template = self.shell.templates.load(name)
        template.generate(views=views, take=take, **self.shell.names)
        return drawn

"""The templates, compiled when first drawn, and the memory for that returned; what they
draw is escaped.

Compiling takes several MiB for a moment, which the allocator would keep although the
process never needs them again: 6 MiB of 45 on a small machine, after the first page.
"""

import ctypes
import re
from functools import cache

from tornado.escape import xhtml_escape
from tornado.template import Loader, Template

from hai.web.http.assets import find_folder

_libc = ctypes.CDLL(None)


SPECIAL = re.compile(rb"[&<>\"']")


def escaped(text: bytes) -> bytes:
    """Safe in HTML, also within quotes: what Tornado's own function makes of it.

    Most of what is drawn has nothing to escape. Tornado's decodes, replaces five times
    and encodes again, half of the time of a page (benchmark `pages`, "a search").
    """
    if SPECIAL.search(text) is None:
        return text
    return xhtml_escape(text).encode()


class Templates(Loader):
    """Tornado's own loader, which also returns memory."""

    def load(self, name: str, parent_path: str | None = None) -> Template:
        """The template, compiled only the first time."""
        known = len(self.templates)
        template = super().load(name, parent_path)
        is_outermost = parent_path is None
        if is_outermost and len(self.templates) > known:
            give_back()
        return template


@cache
def own_templates() -> Templates:
    """Hai's own, compiled once per process, however many servers it runs."""
    return Templates(
        str(find_folder("templates")),
        autoescape=escaped.__name__,
        namespace={escaped.__name__: escaped},
    )


def give_back() -> None:
    """Return freed memory to the system, if the C library can (glibc).

    Takes a few ms, so it runs only after much was freed at once.
    """
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)

"""The templates, compiled when first drawn, and the memory that this took given back.

Compiling takes several MiB for a moment; the allocator would keep what the process
never needs again: 6 MiB of 45 on a small machine, after the first page.
"""

import ctypes
from functools import cache

from tornado.template import Loader, Template

from hai.web.http.assets import find_folder

_libc = ctypes.CDLL(None)


class Templates(Loader):
    """Tornado's own loader. Beyond it: memory is given back."""

    def load(self, name: str, parent_path: str | None = None) -> Template:
        """The template, from memory but for the first time."""
        known = len(self.templates)
        template = super().load(name, parent_path)
        is_outermost = parent_path is None
        if is_outermost and len(self.templates) > known:
            give_back()
        return template


@cache
def own_templates() -> Templates:
    """Hai's own, compiled once in a process, however many servers it runs."""
    return Templates(str(find_folder("templates")))


def give_back() -> None:
    """Return freed memory to the machine, where its C library can: glibc's.

    A few ms, so never while people wait for more than a first page.
    """
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)

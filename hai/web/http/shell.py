"""What all pages have in common, drawn once: head, icons, dialogs, the templates that
scripts clone. 49 KB, which took a third of the time of a room's page (benchmark
`pages`).

Such a template is given nothing of a request or of a reader, so nothing of one can stay
in it. What pages may differ in one day (a language, a theme, the path that Hai lives
under) belongs into the key of `_drawn`, as `is_live` does.
"""

from functools import partial

from tornado.template import Loader

from hai.config import Config
from hai.web.http.assets import Assets
from hai.web.views.page import UI_METHODS


class Shell:
    """The common parts of one server's pages."""

    def __init__(self, templates: Loader, assets: Assets, config: Config) -> None:
        self.templates = templates
        self.names = {"assets": assets, "config": config}
        self.names |= {name: partial(run, None) for name, run in UI_METHODS.items()}
        self._drawn: dict[tuple[str, bool], bytes] = {}

    def part(self, name: str, *, is_live: bool) -> bytes:
        """A template as it is for everybody. is_live: in a page with a state."""
        drawn = self._drawn.get((name, is_live))
        if drawn is None:
            template = self.templates.load(name)
            drawn = template.generate(is_live=is_live, **self.names)
            self._drawn[name, is_live] = drawn
        return drawn

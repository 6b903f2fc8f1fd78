"""Search: hais that contain all the words, in rooms that I am in."""

from urllib.parse import urlencode

from hai.core.talk import first_state, search
from hai.shapes import SearchResponse
from hai.web.http.base import BaseHandler


class SearchHandler(BaseHandler):
    """GET /search?q=&before=: as a page, or as JSON for programs.

    A search that ran out of time says so, and where to continue (core/talk/search.py).

    Not compressed: the page contains both the query and private content, so another
    site could guess at hais from the length of responses (the BREACH attack).
    """

    may_compress = False
    is_costly = True

    async def get(self) -> None:
        query, before = self.query("q"), self.query_id("before")
        found = await search.search(self.core, self.user, query, before=before)
        if self.wants_json():
            self.write_json(found)
            return
        state = await first_state.for_user(self.core, self.user)
        known = {user["id"] for user in state["users"]}
        state["users"] += [user for user in found["users"] if user["id"] not in known]
        await self.page(
            "search/index.html",
            "Search",
            state=state,
            query=query,
            is_older=before is not None,
            is_partial="is_partial" in found,
            hais=found["hais"],
            has_more=found["has_more"],
            older=self._older(query, found) if found["has_more"] else None,
        )

    def _older(self, query: str, found: SearchResponse) -> str:
        """From the last one shown, or from where the search ran out of time."""
        before = found.get("before") or min(hai["id"] for hai in found["hais"])
        asked = {"q": query, "before": before}
        return f"{self.reverse_url('search')}?{urlencode(asked)}"

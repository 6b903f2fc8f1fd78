"""Search: hais that hold all the words, in rooms that I am in."""

from urllib.parse import urlencode

from hai.core import first_state, search
from hai.web.base import BaseHandler


class SearchHandler(BaseHandler):
    """GET /search?q=&before=: as a page, or as JSON for programs.

    Not compressed: the page holds what was asked and what is private, so another
    site could guess at hais by the length of answers (the attack named BREACH).
    """

    may_compress = False

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
            hais=found["hais"],
            rooms={room["id"]: room for room in state["rooms"]},
            has_more=found["has_more"],
            older=self._older(query, found["hais"]) if found["has_more"] else None,
        )

    def _older(self, query: str, hais: list[dict[str, int]]) -> str:
        last = {"q": query, "before": min(hai["id"] for hai in hais)}
        return f"{self.reverse_url('search')}?{urlencode(last)}"

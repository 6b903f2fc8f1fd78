"""What was done with one's own account, and from where."""

from typing import Any

from hai.core import audit
from hai.web.http.base import BaseHandler


class HistoryHandler(BaseHandler):
    """GET /settings/history?before="""

    async def get(self) -> None:
        user_id = self.user.user_id
        before = self.query_id("before")
        found, has_more = await audit.page_of(self.core, user_id, before=before)
        if self.wants_json():
            self.write_json({"deeds": found, "has_more": has_more})
            return
        records: list[dict[str, Any]] = [row | {"reader_id": user_id} for row in found]
        await self.page(
            "accounts/history.html",
            "History",
            records=records,
            older=found[-1]["id"] if has_more else None,
        )

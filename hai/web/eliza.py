"""The lecture's chatbot page; what happens on it is the namespace /eliza's."""

from hai.web.http.base import BaseHandler


class ElizaHandler(BaseHandler):
    """GET /eliza"""

    async def get(self) -> None:
        await self.page("eliza/show.html", "Eliza")

"""People: everybody here, and inviting others."""

import re
from typing import Any

from hai.core.identity import invites
from hai.core.people import accounts
from hai.core.talk import first_state
from hai.errors import BadRequest, Forbidden
from hai.shapes import LinkResponse, UserObject, UsersResponse
from hai.web.http.base import BaseHandler

MAX_SHOWN = 200  # of a long list; the rest are found by name
MAX_IDS = 100
IS_ID = re.compile("[0-9]{1,16}", re.ASCII)


class PeopleHandler(BaseHandler):
    """GET /people[?q=]: everybody, or those with this text in their names.
    ?user_ids=1&user_ids=2: these stay selected, above all others.

    For scripts also ?ids=1,2,3: those people, as {"users": [...]}.
    """

    is_costly = True

    async def get(self) -> None:
        if self.wants_json():
            found: UsersResponse = {"users": await self.named()}
            self.write_json(found)
        else:
            await self.show()

    async def named(self) -> list[UserObject]:
        """Raises BadRequest."""
        if not self.query("ids"):
            return (await self.found())[:MAX_SHOWN]
        ids = self.query("ids").split(",")
        if len(ids) > MAX_IDS or not all(map(IS_ID.fullmatch, ids)):
            raise BadRequest(f"ids must be up to {MAX_IDS} numbers.", field="ids")
        wanted = {int(text) for text in ids}
        return await self.core.db.read(first_state.users, self.core, wanted)

    async def chosen(self) -> list[UserObject]:
        """People who stay selected during a search, to be written to together."""
        given = self.request.query_arguments.get("user_ids", [])[:MAX_IDS]
        ids = {int(text) for text in map(bytes.decode, given) if IS_ID.fullmatch(text)}
        return await self.core.db.read(first_state.users, self.core, ids)

    async def found(self) -> list[UserObject]:
        return with_letters(await accounts.list_users(self.core), self.query("q"))

    def can_invite(self) -> bool:
        return self.user.is_admin and self.core.config.sign_up != "closed"

    async def show(self, invite_url: str | None = None, **names: Any) -> None:
        people = await self.found()
        chosen = await self.chosen()
        chosen_ids = {user["id"] for user in chosen}
        people = [user for user in people if user["id"] not in chosen_ids]
        await self.page(
            "people/index.html",
            "People",
            query=self.query("q"),
            chosen=chosen,
            people=people[:MAX_SHOWN],
            people_count=len(people),
            can_invite=self.can_invite(),
            can_link=self.can_link(),
            invite_url=invite_url,
            **names,
        )


def with_letters(users: list[UserObject], query: str) -> list[UserObject]:
    """Those with this text anywhere in either name."""
    letters = query.strip().removeprefix("@").casefold()
    return [
        user
        for user in users
        if letters in user["name"].casefold()
        or letters in user["display_name"].casefold()
    ]


class InvitesHandler(PeopleHandler):
    """POST /invites: a link with which people create their own accounts."""

    async def get(self) -> None:
        self.redirect(self.reverse_url("people"))

    async def post(self) -> None:
        if not self.can_invite():
            raise Forbidden("Only admins can invite.")
        host = self.link_origin()
        code = await invites.create(self.core, self.user.user_id)
        url = host + self.reverse_url("join", code)
        if self.wants_json():
            link: LinkResponse = {"url": url}
            self.write_json(link, 201)
        else:
            self.set_status(201)
            await self.show(url)

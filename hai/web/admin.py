"""/admin: who uses what, and what owners and admins can do about it.

Every page works without JavaScript; every action is a form of its own, which responds
to programs with JSON. Permissions are decided in core/people/admin.py, in the
transaction; here only access to the pages is checked.
"""

from typing import Any, TypedDict

from hai import __version__
from hai.core import audit
from hai.core.identity import factors
from hai.core.people import admin, usage
from hai.errors import BadRequest, Forbidden
from hai.ids import MAX_ID
from hai.shapes import (
    AuditResponse,
    LinkResponse,
    PicturesRemovedResponse,
    RoomUsagesResponse,
    SessionsEndedResponse,
    TotalsResponse,
    UserResponse,
    UserUsagesResponse,
)
from hai.web.http.base import BaseHandler, FormHandler

UserActionResponse = UserResponse | SessionsEndedResponse | PicturesRemovedResponse

LATEST = 10  # of a list on the overview
MEGABYTE = 1_000_000
AUDIT_KINDS = {"": None, "acts": audit.ADMIN_WORDS, "access": audit.ACCESS_WORDS}


class AdminHandler(BaseHandler):
    """The base of all of them: refuses everybody else."""

    async def admit(self, *ids: Any) -> None:
        if not self.user.is_admin:
            raise Forbidden("This is for owners and admins.")

    async def show(self, *ids: Any, **names: Any) -> None:
        raise NotImplementedError

    async def get(self, *ids: Any) -> None:
        await self.show(*ids)

    def wanted(self, orders: tuple[str, ...]) -> usage.PageRequest:
        """The page of a list. Raises BadRequest."""
        order = self.query("sort") or orders[0]
        page = self.query_id("page")
        page = 1 if page is None else page
        return usage.page_request(orders, order, page, self.query("q"))


class OverviewHandler(AdminHandler):
    """GET /admin: totals, and who uses the most."""

    async def show(self, **names: Any) -> None:
        sums = await self._sums()
        if self.wants_json():
            self.write_json(sums)
            return
        users, _ = await usage.users(self.core, usage.PageRequest())
        rooms, _ = await usage.rooms(self.core, usage.PageRequest())
        latest, _ = await audit.page(self.core, names=audit.ADMIN_WORDS, limit=LATEST)
        await self.page(
            "admin/index.html",
            "Admin",
            sums=sums,
            quota_state=usage.quota_state(self.core, sums),
            users=users[:LATEST],
            rooms=rooms[:LATEST],
            records=latest,
            can_invite=self.core.config.sign_up != "closed" and self.can_link(),
            **names,
        )

    async def _sums(self) -> TotalsResponse:
        metrics = self.application.metrics
        sums: Any = await usage.totals(self.core)
        found: TotalsResponse = sums | {
            "sockets": int(metrics.value("hai_sockets")),
            "online": int(metrics.value("hai_users_online")),
            "resident_bytes": int(metrics.value("hai_resident_bytes")),
            "started_at": int(metrics.value("hai_start_time_seconds")) * 1000,
            "version": __version__,
        }
        return found


class UsersHandler(AdminHandler):
    """GET /admin/users?q=&sort=&page="""

    async def show(self, **names: Any) -> None:
        wanted = self.wanted(usage.USER_ORDERS)
        users, has_more = await usage.users(self.core, wanted)
        found: UserUsagesResponse = {"users": users, "has_more": has_more}
        if self.wants_json():
            self.write_json(found)
            return
        await self.page(
            "admin/users.html",
            "Who uses what",
            **found,
            wanted=wanted,
            **names,
        )


class UserHandler(AdminHandler):
    """GET /admin/users/ID: one user, and the possible actions."""

    async def show(self, user_id: int, **names: Any) -> None:
        user = await usage.user(self.core, user_id)
        if self.wants_json():
            self.write_json({"user": user})
            return
        about, _ = await audit.page(self.core, user_id=user_id, limit=LATEST)
        names.setdefault("reset_url", None)
        await self.page(
            "admin/user.html",
            user["display_name"],
            person=user,
            limit=usage.limit_of(self.core, user),
            can_act=admin.is_above(self.user, user["role"]),
            factor=await factors.state_of(self.core, user_id, user["role"]),
            is_owner=self.user.role == "owner",
            can_link=self.can_link(),
            records=about,
            back=self.reverse_url("admin_user", user_id),
            **names,
        )


class UserActionHandler(UserHandler, FormHandler):
    """POST below /admin/users/ID. Errors are shown on the user's page."""

    notice = "saved"

    async def get(self, user_id: int) -> None:
        """Somebody reloaded the page that a form had returned."""
        self.redirect(self.reverse_url("admin_user", user_id))

    async def act(self, user_id: int) -> UserActionResponse:
        raise NotImplementedError

    async def submit(self, user_id: int) -> None:
        ack = await self.act(user_id)
        here = self.reverse_url("admin_user", user_id)
        self.done(here, ack, done=self.notice)


class RoleHandler(UserActionHandler):
    """POST /admin/users/ID/role: `role`."""

    async def act(self, user_id: int) -> UserActionResponse:
        role = self.form.text("role")
        return await admin.change_role(self.core, self.user, user_id=user_id, role=role)


class DeactivateHandler(UserActionHandler):
    """POST /admin/users/ID/deactivate"""

    notice = "deactivated"

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.deactivate(self.core, self.user, user_id=user_id)


class ReactivateHandler(UserActionHandler):
    """POST /admin/users/ID/reactivate"""

    notice = "reactivated"

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.reactivate(self.core, self.user, user_id=user_id)


class EndSessionsHandler(UserActionHandler):
    """POST /admin/users/ID/sessions/end: bearer tokens too."""

    notice = "signed_out_user"

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.end_sessions(self.core, self.user, user_id=user_id)


class ResetFactorHandler(UserActionHandler):
    """POST /admin/users/ID/second_factor/reset: for somebody who lost theirs."""

    notice = "factor_reset"

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.reset_factor(self.core, self.user, user_id=user_id)


class MakeResetHandler(UserActionHandler):
    """POST /admin/users/ID/reset: a link for a new password, shown once."""

    async def submit(self, user_id: int) -> None:
        host = self.link_origin()
        code = await admin.make_reset(self.core, self.user, user_id=user_id)
        url = host + self.reverse_url("reset", code)
        if self.wants_json():
            link: LinkResponse = {"url": url}
            self.write_json(link, 201)
            return
        self.set_status(201)
        await self.show(user_id, reset_url=url)


class QuotaHandler(UserActionHandler):
    """POST /admin/users/ID/quota: `max_bytes`, or `megabytes` from the form; empty: the
    setting applies; 0: no limit."""

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.set_quota(
            self.core, self.user, user_id=user_id, max_bytes=self._max_bytes()
        )

    def _max_bytes(self) -> int | None:
        if self.form.is_json:
            value = self.form.payload().get("max_bytes")
            if value is not None and type(value) is not int:
                raise BadRequest("max_bytes must be a whole number.", field="max_bytes")
            return value
        text = self.form.text("megabytes").strip()
        if not text:
            return None
        return whole_number("megabytes", text) * MEGABYTE


class Removal(TypedDict):
    days: int
    is_confirmed: bool


class RemovingHandler(AdminHandler):
    """For the two forms that remove pictures: `days`, and `is_confirmed`."""

    def removal(self) -> Removal:
        """Raises BadRequest."""
        payload = self.form.payload()
        days = payload.get("days")
        if type(days) is not int:
            raise BadRequest("days must be a whole number.", field="days")
        return {
            "days": days,
            "is_confirmed": payload.get("is_confirmed") in ("on", True),
        }


class RemoveUserPicturesHandler(UserActionHandler, RemovingHandler):
    """POST /admin/users/ID/pictures/remove"""

    notice = "removing"

    async def act(self, user_id: int) -> UserActionResponse:
        return await admin.remove_pictures_of_user(
            self.core, self.user, user_id=user_id, **self.removal()
        )


class AdminRoomsHandler(AdminHandler):
    """GET /admin/rooms?sort=&page="""

    async def show(self, **names: Any) -> None:
        wanted = self.wanted(usage.ROOM_ORDERS)
        rooms, has_more = await usage.rooms(self.core, wanted)
        found: RoomUsagesResponse = {"rooms": rooms, "has_more": has_more}
        if self.wants_json():
            self.write_json(found)
            return
        await self.page(
            "admin/rooms.html",
            "Rooms and what is in them",
            **found,
            wanted=wanted,
            **names,
        )


class AdminRoomHandler(AdminHandler):
    """GET /admin/rooms/ID"""

    async def show(self, room_id: int, **names: Any) -> None:
        room = await usage.room(self.core, room_id)
        if self.wants_json():
            self.write_json({"room": room})
            return
        await self.page(
            "admin/room.html",
            room.get("name", "A direct room"),
            room=room,
            can_act=self.user.role == "owner" or room["kind"] != "direct",
            back=self.reverse_url("admin_room", room_id),
            **names,
        )


class RemoveRoomPicturesHandler(AdminRoomHandler, RemovingHandler, FormHandler):
    """POST /admin/rooms/ID/pictures/remove"""

    async def get(self, room_id: int) -> None:
        self.redirect(self.reverse_url("admin_room", room_id))

    async def submit(self, room_id: int) -> None:
        ack = await admin.remove_pictures_of_room(
            self.core, self.user, room_id=room_id, **self.removal()
        )
        self.done(self.reverse_url("admin_room", room_id), ack, done="removing")


class AuditHandler(AdminHandler):
    """GET /admin/deeds?before=&kind=&user_id=: the audit log."""

    async def show(self, **names: Any) -> None:
        kind, user_id = self.query("kind"), self.query_id("user_id")
        if kind not in AUDIT_KINDS:
            raise BadRequest("kind must be acts or access.", field="kind")
        records, has_more = await audit.page(
            self.core,
            before=self.query_id("before"),
            user_id=user_id,
            names=AUDIT_KINDS[kind],
        )
        found: AuditResponse = {"deeds": records, "has_more": has_more}
        if self.wants_json():
            self.write_json(found)
            return
        await self.page(
            "admin/audit.html",
            "History",
            records=records,
            older=records[-1]["id"] if has_more else None,
            kind=kind,
            kinds=[("", "All"), ("acts", "Acts"), ("access", "Signing in")],
            kept_days=audit.KEPT_DAYS,
            person=await usage.user(self.core, user_id) if user_id else None,
            about={"user_id": user_id} if user_id else {},
            **names,
        )


def whole_number(name: str, text: str) -> int:
    """Raises BadRequest."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
        raise BadRequest(f"{name} must be a whole number.", field=name)
    return int(text)

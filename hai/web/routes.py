"""Every URL of Hai, in one table. No other Python file contains a path.

`{id}` is an id and reaches the handler as a number; `{code}` is the code of an
invitation, `{token}` that of an upload, and both are passed by name. Routes with a name
can be reversed: `self.reverse_url("room", 7)`. The sockets' own rules and the static
files are added by application.py.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from tornado.routing import URLSpec
from tornado.web import RequestHandler

from hai import shapes
from hai.web import (
    admin,
    api,
    avatars,
    eliza,
    hais,
    pages,
    people,
    pictures,
    rooms,
    search,
    share,
    status,
    tus,
)
from hai.web.account import history, tokens
from hai.web.http.early import Answerer, EarlyRule
from hai.web.openapi import ApiRoute
from hai.web.sign_in import (
    accounts,
    oidc,
    passkeys,
    second_factor,
    second_step,
    sessions,
)

ID = "([1-9][0-9]{0,15})"
CODE = "(?P<code>[A-Za-z0-9_-]{1,64})"
TOKEN = "(?P<token>[A-Za-z0-9_-]{43})"


@dataclass(frozen=True, slots=True)
class Route:
    """One row: `path` is a template, `name` is for reverse_url.

    is_for_any_host: health checks come by address, whatever public_url is.
    """

    path: str
    handler: type[RequestHandler]
    name: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    is_for_any_host: bool = False

    def rule(self) -> URLSpec:
        pattern = re.escape(self.path)
        for name, found in (("id", ID), ("code", CODE), ("token", TOKEN)):
            pattern = pattern.replace(rf"\{{{name}\}}", found)
        return URLSpec(pattern + "$", self.handler, self.settings, self.name or None)


ROUTES: tuple[Route, ...] = (
    # the most requested first: each rule takes 0.3 us to test
    Route("/pictures/{id}", pictures.PictureHandler, "picture"),
    Route("/avatars/{id}/{id}", avatars.AvatarHandler),
    Route("/", pages.HomeHandler, "home"),
    Route("/.well-known/security.txt", status.SecurityTextHandler),
    Route("/healthz", status.HealthHandler, is_for_any_host=True),
    Route("/metrics", status.MetricsHandler, is_for_any_host=True),
    # accounts and sessions
    Route("/setup", accounts.SetUpHandler, "set_up"),
    Route("/sign_in", sessions.SignInHandler, "sign_in"),
    Route("/sign_in/code", second_step.SecondStepHandler, "second_step"),
    Route("/sign_in/passkey", passkeys.PasskeySignInHandler),
    Route("/sign_in/passkey/options", passkeys.SignInOptionsHandler),
    Route("/sign_in/oidc", oidc.OidcStartHandler, "oidc"),
    Route("/sign_in/oidc/callback", oidc.OidcCallbackHandler, "oidc_callback"),
    Route("/sign_out", sessions.SignOutHandler, "sign_out"),
    Route("/join", accounts.SignUpHandler, "join_openly"),
    Route("/join/{code}", accounts.SignUpHandler, "join"),
    Route("/reset/{code}", accounts.NewPasswordHandler, "reset"),
    Route("/settings", accounts.SettingsHandler, "settings"),
    Route("/settings/password", accounts.PasswordHandler),
    Route("/settings/avatar", avatars.SettingsAvatarHandler),
    Route("/settings/avatar/remove", avatars.RemoveAvatarHandler),
    Route("/settings/history", history.HistoryHandler),
    Route("/settings/tokens", tokens.TokensHandler, "tokens"),
    Route("/settings/tokens/{id}/end", tokens.EndTokenHandler),
    Route("/settings/sessions/end", sessions.EndOthersHandler),
    Route("/settings/sessions/{id}/end", sessions.EndHandler),
    Route("/settings/second_factor", second_factor.FactorPageHandler, "second_factor"),
    Route("/settings/second_factor/begin", second_factor.BeginFactorHandler),
    Route("/settings/second_factor/confirm", second_factor.ConfirmFactorHandler),
    Route("/settings/second_factor/codes", second_factor.RecoveryCodesHandler),
    Route("/settings/second_factor/off", second_factor.TurnOffFactorHandler),
    Route("/settings/passkeys", passkeys.AddPasskeyHandler),
    Route("/settings/passkeys/options", passkeys.AddOptionsHandler),
    Route("/settings/passkeys/{id}", passkeys.RenamePasskeyHandler),
    Route("/settings/passkeys/{id}/remove", passkeys.RemovePasskeyHandler),
    Route("/settings/accounts", oidc.LinkAccountHandler),
    Route("/settings/accounts/{id}/remove", oidc.UnlinkAccountHandler),
    # people
    Route("/people", people.PeopleHandler, "people"),
    Route("/invites", people.InvitesHandler, "invites"),
    # for owners and admins
    Route("/admin", admin.OverviewHandler, "admin"),
    Route("/admin/users", admin.UsersHandler, "admin_users"),
    Route("/admin/users/{id}", admin.UserHandler, "admin_user"),
    Route("/admin/users/{id}/role", admin.RoleHandler),
    Route("/admin/users/{id}/deactivate", admin.DeactivateHandler),
    Route("/admin/users/{id}/reactivate", admin.ReactivateHandler),
    Route("/admin/users/{id}/sessions/end", admin.EndSessionsHandler),
    Route("/admin/users/{id}/reset", admin.MakeResetHandler),
    Route("/admin/users/{id}/second_factor/reset", admin.ResetFactorHandler),
    Route("/admin/users/{id}/quota", admin.QuotaHandler),
    Route("/admin/users/{id}/pictures/remove", admin.RemoveUserPicturesHandler),
    Route("/admin/rooms", admin.AdminRoomsHandler, "admin_rooms"),
    Route("/admin/rooms/{id}", admin.AdminRoomHandler, "admin_room"),
    Route("/admin/rooms/{id}/pictures/remove", admin.RemoveRoomPicturesHandler),
    Route("/admin/deeds", admin.AuditHandler, "admin_deeds"),
    # rooms
    Route("/rooms", rooms.RoomsHandler, "rooms"),
    Route("/rooms/{id}", rooms.RoomHandler, "room"),
    Route("/rooms/{id}/edit", rooms.EditHandler, "edit_room"),
    Route("/rooms/{id}/join", rooms.JoinRoomHandler),
    Route("/rooms/{id}/read", rooms.ReadHandler),
    Route("/rooms/{id}/leave", rooms.LeaveHandler),
    Route("/rooms/{id}/members", rooms.MembersHandler),
    Route("/rooms/{id}/members/{id}/remove", rooms.RemoveMemberHandler),
    Route("/direct", rooms.DirectHandler),
    # hais and pictures
    Route("/rooms/{id}/hais", hais.HaisHandler, "hais"),
    Route("/rooms/{id}/pictures", pictures.FormUploadHandler),
    Route("/rooms/{id}/uploads", tus.UploadsHandler),
    Route("/uploads/{token}", tus.TusUploadHandler, "upload"),
    Route("/pictures/{id}/discard", pictures.DiscardHandler),
    Route("/share", share.ShareHandler, "share"),
    Route("/search", search.SearchHandler, "search"),
    Route("/eliza", eliza.ElizaHandler, "eliza"),
)

ANY_HOST_PATHS = frozenset(r.path for r in ROUTES if r.is_for_any_host)

API_ROUTES: tuple[ApiRoute, ...] = (
    ApiRoute(
        "GET", "/api/v1/me", help="Whose token this is", response=shapes.UserResponse
    ),
    ApiRoute(
        "POST",
        "/api/v1/me/avatar",
        help="Give yourself a picture; its middle square is kept",
        response=shapes.UserResponse,
        is_multipart=True,
        max_pictures=1,
    ),
    ApiRoute(
        "DELETE",
        "/api/v1/me/avatar",
        help="Take it back: a letter is drawn instead",
        response=shapes.UserResponse,
    ),
    ApiRoute(
        "GET",
        "/api/v1/me/tokens",
        help="My bearer tokens",
        response=shapes.TokensResponse,
    ),
    ApiRoute("DELETE", "/api/v1/me/tokens/{token_id}", help="End one of them"),
    ApiRoute("GET", "/api/v1/users", help="Everybody", response=shapes.UsersResponse),
    ApiRoute(
        "GET", "/api/v1/changes", "get_changes", query=("since_rev", "epoch", "limit")
    ),
    ApiRoute(
        "GET",
        "/api/v1/rooms",
        help="Mine, and open ones",
        response=shapes.RoomsResponse,
    ),
    ApiRoute("POST", "/api/v1/rooms", "create_room"),
    ApiRoute("POST", "/api/v1/rooms/{room_id}", "change_room"),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/join", "join_room"),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/leave", "leave_room"),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/members", "add_member"),
    ApiRoute(
        "POST", "/api/v1/rooms/{room_id}/members/{user_id}/remove", "remove_member"
    ),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/read", "mark_read"),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/typing", "start_typing"),
    ApiRoute("POST", "/api/v1/direct", "open_direct"),
    ApiRoute(
        "GET",
        "/api/v1/rooms/{room_id}/hais",
        "get_hais",
        query=("before", "after", "around", "limit", "with_pictures"),
    ),
    ApiRoute("POST", "/api/v1/rooms/{room_id}/hais", "send_hai", is_multipart=True),
    ApiRoute(
        "POST",
        "/api/v1/rooms/{room_id}/pictures",
        help="Upload only; name their ids in send_hai",
        response=shapes.PicturesResponse,
        is_multipart=True,
    ),
    ApiRoute(
        "POST",
        "/api/v1/rooms/{room_id}/uploads",
        help="Begin an upload that can be resumed (tus 1.0.0)",
        response=shapes.UploadResponse,
        body="bytes",
    ),
    *(
        ApiRoute(
            method,
            "/api/v1/uploads/{token}",
            help=help_,
            response=shapes.UploadResponse if method == "GET" else None,
            body="bytes" if method == "PATCH" else "",
            is_public=method == "OPTIONS",
            name="api_upload",
        )
        for method, help_ in (
            ("OPTIONS", "What this server knows of tus"),
            ("HEAD", "How much of an upload has come (tus 1.0.0)"),
            ("PATCH", "Bring its next bytes (tus 1.0.0)"),
            ("DELETE", "Take it back (tus 1.0.0)"),
            ("GET", "How much has come, and the picture in the end"),
        )
    ),
    ApiRoute("POST", "/api/v1/hais/{hai_id}", "edit_hai"),
    ApiRoute("POST", "/api/v1/hais/{hai_id}/delete", "delete_hai"),
    ApiRoute("POST", "/api/v1/pictures/{picture_id}", "describe_picture"),
    ApiRoute("POST", "/api/v1/hais/{hai_id}/reactions", "add_reaction"),
    ApiRoute("POST", "/api/v1/hais/{hai_id}/reactions/remove", "remove_reaction"),
    ApiRoute(
        "GET",
        "/api/v1/openapi.json",
        help="This description",
        is_public=True,
    ),
)

# Paths of the API that do more than pass an order on.
API_HANDLERS: dict[str, type[RequestHandler]] = {
    "/api/v1/me": api.MeHandler,
    "/api/v1/me/avatar": avatars.ApiAvatarHandler,
    "/api/v1/me/tokens": tokens.ApiTokensHandler,
    "/api/v1/me/tokens/{token_id}": tokens.ApiTokenHandler,
    "/api/v1/users": api.ApiPeopleHandler,
    "/api/v1/changes": api.ChangesHandler,
    "/api/v1/rooms": api.ApiRoomsHandler,
    "/api/v1/rooms/{room_id}/hais": api.ApiHaisHandler,
    "/api/v1/rooms/{room_id}/pictures": api.ApiUploadHandler,
    "/api/v1/rooms/{room_id}/uploads": tus.UploadsHandler,
    "/api/v1/uploads/{token}": tus.TusUploadHandler,
    "/api/v1/openapi.json": api.DescriptionHandler,
}


# What may be answered ahead of its handler (http/early.py), if it is asked just so.
EARLY_ROUTES: dict[str, Answerer] = {
    "/rooms/{id}": rooms.early_page,
    "/api/v1/rooms/{id}/hais{limit}": api.early_hais,
    "/healthz": status.early_health,
}
LIMIT = "(?:[?]limit=([1-9][0-9]?|100))?"


def early_rules() -> list[EarlyRule]:
    return [
        (re.compile(path.replace("{id}", ID).replace("{limit}", LIMIT)), answer)
        for path, answer in EARLY_ROUTES.items()
    ]


def url_rules() -> list[URLSpec]:
    return [route.rule() for route in (*ROUTES, *_api_routes())]


def _api_routes() -> list[Route]:
    """One rule per path; where it passes on an order, with the order's name."""
    orders = {r.path: r.order for r in API_ROUTES if r.method == "POST"}
    names = {route.path: route.name for route in API_ROUTES}
    return [
        _api_route(path, orders.get(path, ""), name) for path, name in names.items()
    ]


def _api_route(path: str, order: str, name: str) -> Route:
    handler = API_HANDLERS.get(path, api.OrderHandler)
    settings: dict[str, Any] = {}
    if issubclass(handler, api.OrderHandler):
        fields = tuple(re.findall(r"{(\w+)}", path))
        settings = {"order": order, "path_fields": fields}
    elif handler is api.DescriptionHandler:
        settings = {"table": API_ROUTES}
    elif issubclass(handler, tus.TusHandler):
        settings = {"upload_route": "api_upload"}
    return Route(re.sub(r"{\w+_id}", "{id}", path), handler, name, settings)

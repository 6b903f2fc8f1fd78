"""What clients get has exactly the keys, and the types, that hai/shapes.py declares."""

import asyncio
import inspect
from types import UnionType
from typing import Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from hai import clock, shapes
from hai.core import orders
from hai.core.identity import sessions, totp
from hai.core.people import accounts, admin
from hai.core.talk import first_state, search
from hai.events import FACTS
from tests.factories import make_hai, order
from tests.pictures import file, picture

JSON = {"Accept": "application/json"}


def assert_fits(value, hint):
    """Recursively. A key that is not declared is as wrong as one that is missing."""
    if is_typeddict(hint):
        hints = get_type_hints(hint)
        assert value.keys() <= hints.keys(), (hint, value)
        assert value.keys() >= hint.__required_keys__, (hint, value)
        for name, one in value.items():
            assert_fits(one, hints[name])
    elif get_origin(hint) is Literal:
        assert value in get_args(hint), (hint, value)
    elif get_origin(hint) is list:
        for one in value:
            assert_fits(one, get_args(hint)[0])
    elif get_origin(hint) is dict:
        for key, one in value.items():
            assert_fits(key, get_args(hint)[0])
            assert_fits(one, get_args(hint)[1])
    else:
        assert hint is object or type(value) is hint, (hint, value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"room_id": 1, "more": 2}, shapes.RoomIdPayload),
        ({}, shapes.RoomIdPayload),
        ({"room_id": "1"}, shapes.RoomIdPayload),
        ({"room_id": True}, shapes.RoomIdPayload),
        ({"hais": [{}], "has_more": False}, shapes.HaisAck),
    ],
)
def test_what_does_not_fit_is_noticed(value, hint):
    with pytest.raises(AssertionError):
        assert_fits(value, hint)


@pytest.mark.parametrize("one", orders.ORDERS.values(), ids=lambda one: one.name)
def test_an_order_runs_with_its_payload_and_returns_its_ack(one):
    """The table declares both; the function that it names takes and returns them."""
    _core, _who, *taken = inspect.signature(one.start).parameters.values()
    assert {parameter.name for parameter in taken} == one.fields.keys()
    must_come = {p.name for p in taken if p.default is p.empty}
    assert must_come <= {n for n, field in one.fields.items() if field.is_required}
    payload, hints = get_type_hints(one.payload), get_type_hints(one.start)
    for parameter in taken:
        declared = hints[parameter.name]
        kinds = get_args(declared) if isinstance(declared, UnionType) else (declared,)
        assert payload[parameter.name] in kinds, parameter
    assert hints["return"] == asyncio.Future[one.ack]


async def test_every_ack_and_every_fact_is_as_declared(core, cast):
    told = []
    for fact in FACTS:
        core.bus.subscribe(fact, told.append)
    lab, grace = {"room_id": cast.lab["id"]}, {"user_id": cast.grace.id}
    hai = {"hai_id": (await make_hai(core, cast.ada, cast.lab))["id"]}
    answer = await make_hai(core, cast.grace, cast.lab)
    reaction = hai | {"emoji": "🌊"}
    acts = [
        ("mark_read", lab | {"hai_id": answer["id"]}),
        (
            "send_hai",
            lab | {"client_id": "c", "text": "*x*", "reply_to": hai["hai_id"]},
        ),
        ("edit_hai", hai | {"text": "new"}),
        ("add_reaction", reaction),
        ("get_hais", lab),
        ("get_changes", {"since_rev": 0}),
        ("remove_reaction", reaction),
        ("start_typing", lab),
        ("create_room", {"name": "Pier", "kind": "open"}),
        ("change_room", lab | {"topic": "Boats", "has_receipts": True}),
        ("open_direct", {"user_ids": [cast.linus.id]}),
        ("join_room", {"room_id": cast.lounge["id"]}),
        ("delete_hai", hai),
        ("remove_member", lab | grace),
        ("add_member", lab | grace),
        ("leave_room", lab),
    ]
    assert {name for name, _ in acts} == orders.ORDERS.keys() - {"describe_picture"}
    for name, payload in acts:
        assert_fits(await order(core, cast.ada, name, payload), orders.ORDERS[name].ack)
    await accounts.change_profile(core, cast.linus.identity, display_name="L")
    await sessions.start(core, cast.linus.id, "browser", "Firefox on Linux")
    await admin.end_sessions(core, None, user_id=cast.linus.id)
    for one in told:
        assert_fits(one.payload(), get_type_hints(type(one).payload)["return"])
    not_told = {one.name for one in FACTS} - {one.name for one in told}
    assert not_told == {"presence_changed"}


async def test_what_a_page_starts_with_is_as_declared(core, cast):
    await make_hai(core, cast.grace, cast.lab, "first words")
    who = cast.ada.identity
    assert_fits(await first_state.for_user(core, who), shapes.FirstState)
    room = await first_state.for_room(core, who, cast.lab["id"])
    assert_fits(room, shapes.RoomState)
    assert_fits(await search.search(core, who, "words"), shapes.SearchResponse)


async def test_what_programs_are_answered_is_as_declared(core, client, cast):
    ada, lab = client(cast.ada), cast.lab["id"]
    form = {"form": {"text": "x"}, "files": [file(picture())]}
    sent = await ada.post(f"/api/v1/rooms/{lab}/hais", **form)
    assert_fits(sent.json, shapes.HaiAck)
    alt = f"/api/v1/pictures/{sent.json['hai']['pictures'][0]['id']}"
    assert_fits((await ada.post(alt, json={"alt": "A bay"})).json, shapes.HaiAck)
    await admin.set_quota(core, None, user_id=cast.grace.id, max_bytes=10**6)
    grace = f"/admin/users/{cast.grace.id}"
    for path, shape in [
        ("/api/v1/me", shapes.UserResponse),
        ("/api/v1/users", shapes.UsersResponse),
        ("/api/v1/rooms", shapes.RoomsResponse),
        ("/search?q=x", shapes.SearchResponse),
        ("/admin", shapes.TotalsResponse),
        ("/admin/users", shapes.UserUsagesResponse),
        ("/admin/rooms", shapes.RoomUsagesResponse),
        ("/admin/deeds", shapes.AuditResponse),
    ]:
        assert_fits((await ada.get(path, headers=JSON)).json, shape)
    for path, body, shape in [
        ("/role", {"role": "admin"}, shapes.UserResponse),
        ("/quota", {"max_bytes": None}, shapes.UserResponse),
        ("/sessions/end", {}, shapes.SessionsEndedResponse),
        ("/second_factor/reset", {}, shapes.UserResponse),
        (
            "/pictures/remove",
            {"days": 0, "is_confirmed": True},
            shapes.PicturesRemovedResponse,
        ),
    ]:
        answer = await ada.post(grace + path, json=body, headers=JSON)
        assert_fits(answer.json, shape)


class TestSecondFactors:
    @pytest.fixture
    def config_flags(self):
        return {"oidc_issuer": "https://login.example.org", "oidc_client_id": "hai"}

    async def test_what_they_answer_is_as_declared(self, client, cast):
        ada, page = client(cast.ada), "/settings/second_factor"
        begun = (await ada.post(f"{page}/begin", json={})).json
        assert_fits(begun, shapes.FactorSetUpResponse)
        step = totp.step_at(clock.now_ms())
        code = totp.code_of(totp.from_text(begun["secret"]), step)
        link = (await ada.post("/settings/accounts", json={})).json
        assert_fits(link, shapes.LinkPathResponse)
        form = {"sealed": begun["sealed"], "code": code}
        made = (await ada.post(f"{page}/confirm", json=form)).json
        assert_fits(made, shapes.RecoveryCodesResponse)
        state = (await ada.get(page, headers=JSON)).json
        assert_fits(state, shapes.SecondFactorResponse)

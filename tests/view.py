"""A reference client: what a page knows, kept right by facts and catching up.

`View` starts from a first state, `hear`s facts and `catch_up`s by get_changes; the
race tests compare it with a fresh first state. It is the plain version of what
static/js/models does.
"""

from hai.core.talk import first_state
from hai.storage.rooms import MEMBER_IDS_LIMIT

# A room's rev also counts its reader's marker, which no fact carries.
OWN_FIELDS = ("my_read_hai_id", "unread")


class View:
    """One person's view. rooms, users and hais are {id: object}."""

    def __init__(self, state):
        self.me_id = state["me"]["id"]
        self.rev = state["rev"]
        self.epoch = state["epoch"]
        self.rooms = {}
        self.marks = {}  # room id -> {user id: (rev, hai_id)}: newer than its row
        self.rows = {}  # room id -> (rev, last_hai_id) of the row that we count from
        self.users = {user["id"]: user for user in state["users"]}
        self.hais = {hai["id"]: hai for hai in state.get("hais", ())}
        # room id -> the rev at which all of its living hais were taken over
        self.drawn = {state["room"]["id"]: self.rev} if state.get("room") else {}
        self.is_uncounted = False  # unread is not known here: get_changes tells it
        for room in [*state["rooms"], state.get("room")]:
            if room:
                self._take_row(room)

    def hear(self, name, payload):
        """Hear a fact; only when all up to it is known here may it raise our rev."""
        getattr(self, "_" + name)(payload)
        for row in ("hai", "room", "user"):
            self.rev = max(self.rev, payload.get(row, {}).get("rev", 0))

    def _hai_sent(self, payload):
        self._hear_hai(payload["hai"])

    def _hai_changed(self, payload):
        self._hear_hai(payload["hai"])

    def _hear_hai(self, hai):
        """Old news of one that is not here is of one that was deleted since: that may
        be told to nobody, if the line is cut just then."""
        self._mark(hai["room_id"], hai["user_id"], hai["id"], hai["id"])
        is_old = hai["rev"] <= self.drawn.get(hai["room_id"], 0)
        if hai["id"] in self.hais or not is_old:
            self.merge_hai(hai)

    def merge_hai(self, hai):
        """Take a hai over, from wherever it came; the higher rev wins."""
        if hai["room_id"] not in self.rooms:
            return  # old news of a room that I have left
        known = self.hais.get(hai["id"])
        if known is None or known["rev"] < hai["rev"]:
            self.hais[hai["id"]] = hai
            self._count(known, hai)

    def _count(self, known, hai):
        """Derive unread from what the room's row had not counted yet.

        Its row had counted what was sent up to its last_hai_id and deleted up to its
        rev. Hais come in the order of revs, so an edited one comes after later ones.
        """
        room = self.rooms[hai["room_id"]]
        row_rev, row_last_id = self.rows[room["id"]]
        is_new = hai["id"] > row_last_id
        if is_new:
            room["last_hai_id"] = max(hai["id"], room.get("last_hai_id", 0))
        if hai["user_id"] == self.me_id:
            if is_new and known is None:
                self._read(room, hai["id"])
        elif hai["id"] > room.get("my_read_hai_id", 0):
            was_counted = (
                is_living(known) if is_new else known is None or is_living(known)
            )
            if is_new or hai["rev"] > row_rev:
                room["unread"] += is_living(hai) - was_counted

    def _room_changed(self, payload):
        room = payload["room"]
        known = self.rooms.get(room["id"])
        if known is None:
            # Old news, if I had left and come back when I caught up: what came after
            # it is gone with the room, and must be asked for again.
            self.rev = min(self.rev, room["rev"])
            self._drop(room["id"])
            own = {"unread": 0}
            if "last_hai_id" in room:  # nothing before my joining is unread
                own["my_read_hai_id"] = room["last_hai_id"]
            self._take_row(room | own)
        elif room["rev"] > known["rev"]:
            own = {key: known[key] for key in OWN_FIELDS if key in known}
            if "last_hai_id" in known:  # get_hais may have been ahead of this fact
                own["last_hai_id"] = max(
                    known["last_hai_id"], room.get("last_hai_id", 0)
                )
            self.rooms[room["id"]] = room | own

    def _take_row(self, room):
        """A room with what is mine in it, and how far it has counted."""
        self.rooms[room["id"]] = dict(room)
        self.rows[room["id"]] = (room["rev"], room.get("last_hai_id", 0))

    def _room_removed(self, payload):
        """It has no rev: if our row is newer, catching up must bring it back."""
        if room := self.rooms.get(payload["room_id"]):
            self.rev = min(self.rev, room["rev"] - 1)
        self._drop(payload["room_id"])

    def _drop(self, room_id):
        self.rooms.pop(room_id, None)
        self.hais = {k: h for k, h in self.hais.items() if h["room_id"] != room_id}

    def _user_changed(self, payload):
        user = payload["user"]
        # As with hais, old news of somebody who is not here says nothing of today.
        known = self.users.get(user["id"], {"rev": self.rev})
        if user["rev"] > known["rev"]:
            presence = known.get("presence", "offline")
            self.users[user["id"]] = {"presence": presence} | user

    def _read_marked(self, payload):
        room = self.rooms.get(payload["room_id"])
        if "rev" in payload:
            self._mark(*(payload[k] for k in ("room_id", "user_id", "hai_id", "rev")))
        if room and payload["user_id"] == self.me_id:
            self._read(room, payload["hai_id"])

    def _mark(self, room_id, user_id, hai_id, rev):
        """A mark that the room's row may not have yet; sending marks read too."""
        marks = self.marks.setdefault(room_id, {})
        marks[user_id] = max((rev, hai_id), marks.get(user_id, (0, 0)))

    def receipts(self, room_id):
        """Who has read how far: by the row, and by what is newer than the row."""
        room = self.rooms.get(room_id, {})
        if not room.get("has_receipts") or room["member_count"] > MEMBER_IDS_LIMIT:
            return None
        reads = dict(room.get("read_hai_ids", {}))
        for user_id, (rev, hai_id) in self.marks.get(room_id, {}).items():
            if rev > room["rev"]:  # though the row may know of a hai sent since its rev
                reads[user_id] = max(hai_id, reads.get(user_id, 0))
        return reads

    def _read(self, room, hai_id):
        """Move my marker. What is above it stays unread: what is held here, or, where
        not all is held that was unread, what the room's row will say."""
        held = self._unread_held(room)
        self.is_uncounted |= room["unread"] > held and hai_id < room["last_hai_id"]
        room["my_read_hai_id"] = max(hai_id, room.get("my_read_hai_id", 0))
        room["unread"] = self._unread_held(room)

    def _unread_held(self, room):
        return sum(
            hai["room_id"] == room["id"]
            and hai["id"] > room.get("my_read_hai_id", 0)
            and hai["user_id"] != self.me_id
            and "deleted_at" not in hai
            for hai in self.hais.values()
        )

    def _typing_started(self, payload):
        """Nothing to keep: it passes after 5 s."""

    def _session_started(self, payload):
        """Nothing to keep: people are asked whether it was them."""

    def _presence_changed(self, payload):
        if payload["user_id"] in self.users:
            user = self.users[payload["user_id"]]
            self.users[user["id"]] = user | {"presence": payload["presence"]}

    def catch_up(self, page):
        """Merge one page of get_changes."""
        for room_id in page["removed_room_ids"]:
            self._drop(room_id)
        for user in page["users"]:
            self.users[user["id"]] = user
        for room in page["rooms"]:
            self._take_row(room)
        for hai in page["hais"]:
            self._mark(hai["room_id"], hai["user_id"], hai["id"], hai["id"])
            self.merge_hai(hai)
        if "online_user_ids" in page:  # no row tells who came and went meanwhile
            online = set(page["online_user_ids"])
            for user_id, user in self.users.items():
                presence = "online" if user_id in online else "offline"
                self.users[user_id] = user | {"presence": presence}
        self.rev = page["rev"]
        self.is_uncounted = False

    def shown(self, room_id):
        """What a page of this room would show, to compare with another view."""
        hais = [h for h in self.hais.values() if h["room_id"] == room_id]
        living = [hai for hai in hais if "deleted_at" not in hai]
        return {
            "hais": sorted(living, key=lambda hai: hai["id"]),
            "room": comparable(self.rooms.get(room_id)),
            "receipts": self.receipts(room_id),
        }

    def listed(self):
        return {room_id: comparable(room) for room_id, room in self.rooms.items()}


def is_living(hai):
    return hai is not None and "deleted_at" not in hai


def comparable(room):
    """A room without its rev, and without what only some answers carry.

    read_hai_ids may be behind what was told since: see `View.receipts`."""
    if room is None:
        return None
    left_out = ("rev", "member_ids", "read_hai_ids")
    return {key: room[key] for key in room if key not in left_out}


async def fresh_view(core, person, room=None):
    """What a page opened now would know."""
    if room is None:
        return View(await first_state.for_user(core, person.identity))
    return View(await first_state.for_room(core, person.identity, room["id"]))

"""Reactions: an emoji of a user on a hai, each pair once."""

from hai import errors
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.talk import hais
from hai.shapes import HaiAck, HaiObject
from hai.storage import hais as hai_rows
from hai.storage import reactions as rows
from hai.storage.writer import Transaction

MAX_KINDS = 50  # different emoji on one hai


def add(core: Core, who: Identity, *, hai_id: int, emoji: str) -> hais.HaiAckFuture:
    """{hai}. Raises NotFound, Forbidden, BadRequest."""
    return core.db.write(_add, who, hai_id, emoji)


def _add(tx: Transaction, who: Identity, hai_id: int, emoji: str) -> HaiAck:
    """(writer thread)"""
    hai = _get_living(who, hai_id)
    given = hai["reactions"]
    if who.user_id in given.get(emoji, ()):
        return {"hai": hai}
    if emoji not in given and len(given) >= MAX_KINDS:
        raise errors.BadRequest("This hai has enough reactions.")
    rows.insert(tx, hai_id, who.user_id, emoji)
    hai_rows.change(tx, hai_id)
    return hais.changed(tx, hai_id)


def remove(core: Core, who: Identity, *, hai_id: int, emoji: str) -> hais.HaiAckFuture:
    """{hai}. Removing a reaction that does not exist changes nothing."""
    return core.db.write(_remove, who, hai_id, emoji)


def _remove(tx: Transaction, who: Identity, hai_id: int, emoji: str) -> HaiAck:
    """(writer thread)"""
    hai = _get_living(who, hai_id)
    if who.user_id not in hai["reactions"].get(emoji, ()):
        return {"hai": hai}
    rows.delete(tx, hai_id, who.user_id, emoji)
    hai_rows.change(tx, hai_id)
    return hais.changed(tx, hai_id)


def _get_living(who: Identity, hai_id: int) -> HaiObject:
    hai = hais.get(who, hai_id)
    if "deleted_at" in hai:
        raise errors.NotFound()
    return hai

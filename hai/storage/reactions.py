"""Reactions: the statements behind core/talk/reactions.py."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.models import Reaction
from hai.storage.writer import Transaction


class DatedReaction(NamedTuple):
    """One with its time: it was not given just now."""

    hai_id: int
    user_id: int
    emoji: str
    created_at: int


def of_hais(hai_ids: list[int]) -> list[tuple[int, str, int]]:
    """(hai_id, emoji, user_id), the first given first. (any thread)"""
    rows: list[tuple[int, str, int]] = execute(
        "SELECT hai_id, emoji, user_id FROM reactions"
        " WHERE hai_id IN (SELECT value FROM json_each(?))"
        " ORDER BY created_at, user_id",
        (json.dumps(hai_ids),),
    ).fetchall()
    return rows


def insert(tx: Transaction, hai_id: int, user_id: int, emoji: str) -> None:
    """One that this user has not given. (writer thread)"""
    Reaction.insert(
        hai=hai_id, user=user_id, emoji=emoji, created_at=tx.now_ms
    ).execute(tx.engine)


def insert_dated(tx: Transaction, reactions: Sequence[DatedReaction]) -> None:
    """At least one. (writer thread)"""
    columns = (Reaction.hai, Reaction.user, Reaction.emoji, Reaction.created_at)
    Reaction.insert_many(reactions, columns).execute(tx.engine)


def delete(tx: Transaction, hai_id: int, user_id: int, emoji: str) -> None:
    """(writer thread)"""
    Reaction.delete().where(
        Reaction.hai == hai_id, Reaction.user == user_id, Reaction.emoji == emoji
    ).execute(tx.engine)

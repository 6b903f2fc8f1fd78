"""Reactions are bounded: a hai carries all of them wherever it is told."""

import pytest

from hai import errors
from hai.core.talk import reactions
from tests.factories import make_hai, order


async def test_a_hai_has_only_so_many_kinds_of_reactions(core, cast, monkeypatch):
    """Whoever gave them; what is there, others may give, too."""
    monkeypatch.setattr(reactions, "MAX_KINDS", 2)
    hai = await make_hai(core, cast.ada, cast.lounge, "hello")

    def react(person, emoji):
        payload = {"hai_id": hai["id"], "emoji": emoji}
        return order(core, person, "add_reaction", payload)

    await react(cast.ada, "👍")
    await react(cast.grace, "👋")
    for person in (cast.ada, cast.linus):
        with pytest.raises(errors.BadRequest):
            await react(person, "🎉")
    ack = await react(cast.linus, "👋")
    assert ack["hai"]["reactions"]["👋"] == [cast.grace.id, cast.linus.id]

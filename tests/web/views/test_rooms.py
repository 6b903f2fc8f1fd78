"""Rooms as they are drawn."""

from hai.web.views.rooms import room_view


def test_a_direct_room_is_called_by_the_others():
    users = [
        {"id": 1, "display_name": "Ada"},
        {"id": 2, "display_name": "Grace"},
        {"id": 3, "display_name": "Linus"},
    ]
    state = {"me": users[0], "users": users}
    titles = []
    for ids in ([1, 2], [1, 2, 3], [1]):
        room = {"id": 9, "kind": "direct", "member_ids": ids}
        titles.append(room_view(None, room, state).title)
    assert titles == ["Grace", "Grace, Linus", "Notes to self"]

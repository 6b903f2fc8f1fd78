"""Hais and pictures as core returns them, for tests of what is drawn of them."""


def hai(id_=1, **changes):
    plain = {"id": id_, "user_id": 2, "text": "hai", "sent_at": 0}
    return plain | {"pictures": [], "reactions": {}} | changes


def shown(id_, **changes):
    plain = {"id": id_, "name": "IMG_1.jpg", "url": f"/pictures/{id_}", "bytes": 9}
    return plain | {"type": "image/jpeg", "width": 40, "height": 30} | changes

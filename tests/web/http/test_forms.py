"""Forms: texts, which become what an order takes."""

from hai.web.http.forms import Form


def test_a_form_holds_numbers_where_an_order_takes_them():
    typed = {"reply_to": ["7"], "picture_id": ["8"], "text": ["9"], "before": [""]}
    wanted = {"reply_to": 7, "picture_id": 8, "text": "9"}
    assert Form(typed | {"user_ids": ["1", "x"]}).payload() == wanted | {
        "user_ids": [1, "x"]
    }

"""Which passwords are refused, and that what was set before goes on."""

import gzip

import argon2
import pytest

from hai import errors
from hai.core.identity import easy_passwords, passwords, sessions
from hai.core.people import accounts, resets
from hai.core.people.admin import make_reset
from hai.storage import users
from tests.factories import make_room, make_user

NAMES = ("ada", "Ada Lovelace", "Lounge", "hai")
GOOD = "calm water 7"


@pytest.mark.parametrize(
    "password",
    [
        *("12345678", "password1", "qwertyuiop", "letmein1"),  # common
        *("PassWord1", "P@ssw0rd!", "i love you", "i.love_you", "ｐａｓｓｗｏｒｄ１"),
        *("dragon!!!!", "monkey2024", "blingbling", "good123654"),
        *("ada42424", "1815-ada-1852", "lovelace42", "Ada.Lovelace!", "adaadaada"),
        *("lounge42", "LOUNGE!!", "hai12345", "hai.hai.42"),
        *("aaaaaaaa", "11112222", "abababab", "--------", "passwordpassword"),
        *("87654321", "abcdefgh", "asdfghjk", "qwertzui", "mnbvcxz1", "abcd1234"),
        *("йцукенгш", "абвгдежз", "alpha" * 200 + "!"),
    ],
)
def test_what_is_tried_first_is_refused(password):
    with pytest.raises(errors.BadRequest) as refused:
        passwords.check(password, names=NAMES)
    assert refused.value.message == passwords.TOO_EASY
    assert refused.value.details == {"field": "password"}


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery staple", "calm water 7", "were we here over there"),
        *("xK7#qv9!", "o3Jw0mZ1", "gT4-kk2.Wq_8", "#7$q!9&v" * 3, "!l#o@v$e+"),
        *(
            "пароль из трёх слов",
            "ねこはまどのそとをみている",
            "나는 오늘 바다를 보았다",
        ),
        *(
            "我爱北京天安门和长城",
            "لا تنس البحر الهادئ",
            "शांत समुद्र और नाव",
            "🦈🌊⛵🏝🐚🪸🐙🦑",
        ),
        *("loungers of ada", "ada and her haiku"),  # more than a name
    ],
)
def test_what_takes_long_to_guess_is_taken(password):
    assert passwords.check(password, names=NAMES) == password


def test_names_that_are_nothing_or_a_letter_refuse_nothing_else():
    for name in ("", "!!", " ", "x", "7"):
        assert passwords.check("xK7#qv9!", names=[name]) == "xK7#qv9!"
    with pytest.raises(errors.BadRequest):
        passwords.check("x1234567", names=["x"])


def test_the_list_says_where_it_is_from_and_under_which_licence():
    head, _, words = gzip.decompress(easy_passwords.COMMON.read_bytes()).partition(
        b"\n# SOFTWARE.\n"
    )
    assert b"zxcvbn 4.5.0" in head and b"MIT License" in head
    listed = words.decode().splitlines()
    assert listed == sorted(set(listed)) and len(listed) > 25_000
    assert not any(word.startswith("# ") for word in listed)


def test_every_word_of_the_list_is_found_itself():
    """Also the first and the last one."""
    listed = easy_passwords.COMMON.read_bytes()
    words = gzip.decompress(listed).decode().split("SOFTWARE.\n")[1].splitlines()
    long = [word for word in words if len(word) >= passwords.MIN_CHARS]
    for word in (words[0], words[-1], *long[::97]):
        assert easy_passwords.is_easy(word)


async def test_own_names_and_open_rooms_are_refused_wherever_a_password_is_set(core):
    ada = await make_user(core, "ada", role="owner", password=GOOD)
    await make_room(core, ada, name="Blue Lagoon")
    grace = await make_user(core, "grace", password=GOOD)
    code = await make_reset(core, ada.identity, user_id=grace.id)
    for easy in ("grace1906", "bluelagoon7", "hai-hai-hai"):
        with pytest.raises(errors.BadRequest):
            await accounts.add_user(core, "grace2", password=easy, display_name="Grace")
        with pytest.raises(errors.BadRequest):
            await accounts.change_password(core, grace.identity, old=GOOD, new=easy)
        with pytest.raises(errors.BadRequest):
            await resets.use(core, code, easy)
    assert await resets.use(core, code, "deep water 8") == grace.id


async def test_no_refusal_tells_a_stranger_of_a_closed_room(core, cast):
    await make_room(core, cast.ada, name="Blue Lagoon", kind="closed")
    assert await passwords.make_hash(core, "bluelagoon7")


async def test_an_easy_password_from_before_still_signs_in(core):
    ada = await make_user(core, "ada", password=GOOD)
    old_hash = argon2.PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1)
    await core.db.write(users.set_password_hash, ada.id, old_hash.hash("password1"))
    token = await sessions.sign_in(core, "ada", "password1", "")
    assert sessions.find(core, token).user_id == ada.id

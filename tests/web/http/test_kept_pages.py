"""Pages that are joined from pieces: the same bytes, compressed or not."""

import gzip
import random
import zlib

import pytest

from hai import ids
from hai.web.http import kept_pages
from hai.web.http.kept_pages import BORDER, CLIENT_ID, REV, KeptPage


def page(mine="my rooms ", before="a hai ", after="the same hai ", rest="my rooms"):
    return f"{mine}{BORDER}{before}{CLIENT_ID}{after}{REV}{rest}".encode()


def test_the_holes_are_filled_and_the_border_is_gone():
    kept = KeptPage(page("mine ", "ü ", " ß ", " end"))
    assert kept.text("c" * 20, 17).decode() == f"mine ü {'c' * 20} ß 17 end"


@pytest.mark.parametrize("rev", [0, 7, 123_456_789, 2**53 - 1])
@pytest.mark.parametrize("times", [0, 1, 999])
def test_compressed_it_is_the_same(times, rev):
    kept = KeptPage(page("mine \u20ac" * times, "ha " * times, "hi " * times, "end"))
    for _ in range(3):
        client_id = ids.new_client_id()
        zipped = kept.zipped(client_id, rev)
        assert gzip.decompress(zipped) == kept.text(client_id, rev)  # checks the CRC


def test_what_is_like_a_client_id_is_not_taken_from_the_hole():
    """Deflate may refer to any three bytes before: those of the hole will differ."""
    chance = random.Random(7)
    texts = ["".join(chance.choices("abcAB12-_ ", k=3000)) for _ in range(4)]
    texts[2] += CLIENT_ID[:10] * 50 + " " + CLIENT_ID[10:] * 50
    kept = KeptPage(page(*texts))
    for client_id in ("a" * 20, "b2" * 10, CLIENT_ID[::-1]):
        assert gzip.decompress(kept.zipped(client_id, 1)) == kept.text(client_id, 1)


def test_checksums_are_joined_as_zlib_does():
    one, other = random.Random(1).randbytes(1000), random.Random(2).randbytes(70_001)
    for size in (0, 1, 2, 255, 70_001):
        shifts = kept_pages._shifts(size)
        joined = kept_pages._shifted(zlib.crc32(one), shifts)
        assert joined ^ zlib.crc32(other[:size]) == zlib.crc32(one + other[:size])


def length_with(guess, *, where):
    """Of the compressed page of somebody with a secret room, when a guess is made."""
    secret = "<a>Project Walrus-4711</a>"
    texts = {"mine": secret, "before": "", "after": "", "rest": '"Project Walrus-4711"'}
    texts[where] += guess
    return len(KeptPage(page(**texts)).zipped("c" * 20, 1))


def test_a_hai_does_not_tell_by_its_length_whether_it_is_like_what_is_the_readers():
    """The BREACH attack: a right guess would be shorter. In the reader's own part it
    is, or this would test nothing."""
    right, wrong = "Project Walrus-4711", "Prajict Wolras-1174"
    for where in ("mine", "rest"):
        assert length_with(right, where=where) < length_with(wrong, where=where)
    for where in ("before", "after"):
        assert (
            abs(length_with(right, where=where) - length_with(wrong, where=where)) < 2
        )


def test_a_page_without_its_marks_is_not_kept():
    for mark in (BORDER, CLIENT_ID, str(REV)):
        with pytest.raises(ValueError, match="not enough values"):
            KeptPage(page().replace(mark.encode(), b""))

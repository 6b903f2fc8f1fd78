"""What Eliza says, and that nobody can make her say nothing."""

import asyncio
import random
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hai.bots.eliza import MAX_CHARS, PICTURE, SILENCE, TIRED, Eliza
from hai.bots.threads import MAX_THREADS

NEVER_S = 600  # longer than any test waits
eliza = Eliza(late_s=NEVER_S, give_up_s=NEVER_S)


def ask(text):
    random.seed(7)
    return eliza.answer(text)


def test_she_turns_ones_words_around():
    assert ask("I need my old friends") in (
        "Why do you need your old friends?",
        "Would it really help you to get your old friends?",
        "Are you sure you need your old friends?",
    )


def test_the_same_seed_gives_the_same_answers():
    asked = ["Hello", "I am sad", "because of my mother", "whatever"]
    assert [ask(text) for text in asked] == [ask(text) for text in asked]


def test_what_follows_a_sentence_does_not_matter():
    assert ask("Hello!") == ask("Hello") == ask("Hello...\n")


@pytest.mark.parametrize("text", ["", "  \n\t", "...", "!"])
def test_she_waits_for_those_who_say_nothing(text):
    assert ask(text) == SILENCE


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("I need %1", "%1"),  # NLTK's own Chat never comes back from this
        ("I am 100%", "100%"),  # and raises ValueError here
        ("I think %5", "%5"),  # IndexError
        ("I need %s and %(x)s and {0} and \\1", "%s and %(x)s and {0} and \\1"),
        ("I need \u0131", "\u0131"),  # an i without a dot: KeyError
    ],
)
def test_wildcards_in_ones_own_words_stay_words(text, repeated):
    answers = [eliza.answer(text) for _ in range(50)]  # some of them repeat the words
    assert any(repeated in answer for answer in answers)


def test_lines_are_one_sentence():
    assert "a dog or a cat" in ask("I need a dog\nor\r\na cat")


@pytest.mark.parametrize(
    "word", ["x", "sorry ", "because ", "i i'm my ", "%", "%1", "\0"]
)
def test_long_texts_are_cut(word):
    assert 0 < len(ask(word * 10_000)) < MAX_CHARS * 2


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text):
    assert eliza.answer(text).strip()


OPENINGS = st.sampled_from(["I need ", "Because ", "Are you ", "I'm ", "Hello ", "%1"])


@given(OPENINGS, st.text(alphabet="%0123456789 iİıIme.!?\\", max_size=60))
def test_any_text_that_is_repeated_has_an_answer(opening, text):
    assert eliza.answer(opening + text).strip()


def test_nltk_comes_with_the_first_message_and_without_its_parsers():
    """In a process of its own: this one may have imported anything."""
    code = """
import sys
from hai.bots.eliza import Eliza
eliza = Eliza()
assert "nltk" not in sys.modules
assert eliza.answer("Hello")
assert not [name for name in sys.modules if name.startswith("nltk")]
import nltk.chat  # the real one is still to be had
assert nltk.chat.Chat and nltk.word_tokenize
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


async def test_everybody_who_asks_at_once_is_answered():
    answers = await asyncio.gather(*(eliza.reply_to(i, "Hello") for i in range(50)))
    assert len(answers) == 50
    assert all(answers)


async def test_a_picture_alone_is_talked_about():
    hai = {"user_id": 1, "text": "", "pictures": [{"id": 1}]}
    assert await eliza.reply(hai, {}) == PICTURE


class Slow(Eliza):
    """Thinks until it is let go, and remembers in which threads."""

    def __init__(self):
        super().__init__(late_s=NEVER_S, give_up_s=NEVER_S)
        self.let_go = threading.Event()
        self.idents = []

    def answer(self, text):
        self.idents.append(threading.get_ident())
        self.let_go.wait()
        return super().answer(text)

    async def until_it_thinks_of(self, count):
        while len(self.idents) < count:
            await asyncio.sleep(0.01)


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.let_go.set()


async def test_she_thinks_off_the_loop(slow):
    slow.let_go.set()
    assert await slow.reply_to(1, "Hello") != TIRED
    assert slow.idents
    assert threading.get_ident() not in slow.idents


async def test_a_late_answer_is_late_and_not_lost(slow, expect_log):
    """And the log says where the time went."""
    where = ("waiting for others", "until its thread ran", "of processor time")
    expect_log(r"eliza took \d+\.\d s: .* s " + ".* s ".join(where))
    slow.threads.late_s = 0
    asked = asyncio.create_task(slow.reply_to(1, "Hello"))
    await slow.until_it_thinks_of(1)
    others = asyncio.create_task(slow.reply_to(2, "Hello"))
    await slow.until_it_thinks_of(2)  # she listens to others meanwhile
    slow.let_go.set()
    assert TIRED not in (await asked, await others)


async def test_late_thoughts_do_not_pile_up_and_all_are_answered(slow, expect_log):
    expect_log("eliza took")
    slow.threads.late_s = 0
    asked = [asyncio.create_task(slow.reply_to(1, "Hello")) for _ in range(10)]
    await slow.until_it_thinks_of(MAX_THREADS)
    assert sum(not call.outcome.done() for call in slow.threads.calls) == MAX_THREADS
    slow.let_go.set()
    assert TIRED not in await asyncio.gather(*asked)
    assert len(slow.idents) == 10


async def test_a_thought_without_end_is_left_behind(slow, expect_log):
    expect_log("found no answer in 0.05 s")
    slow.threads.give_up_s = 0.05
    assert await slow.reply_to(1, "Hello") == TIRED
    slow.threads.give_up_s = NEVER_S
    slow.let_go.set()
    assert await slow.reply_to(1, "Hello") != TIRED


async def test_thoughts_without_end_do_not_pile_up(slow, expect_log):
    """She hears everybody again as soon as one of them ends after all."""
    expect_log("found no answer in 0.05 s")
    expect_log("found no answer: all her threads hang")
    slow.threads.give_up_s = 0.05
    while len(slow.idents) < MAX_THREADS:  # in 0.05 s, a thread may not even begin
        assert await slow.reply_to(1, "Hello") == TIRED
    slow.threads.give_up_s = NEVER_S
    for _ in range(5):
        assert await slow.reply_to(1, "Hello") == TIRED
    assert len(slow.idents) == MAX_THREADS
    slow.let_go.set()
    while await slow.reply_to(1, "Hello") == TIRED:
        await asyncio.sleep(0.01)


async def test_a_failure_is_answered_too(expect_log):
    expect_log("Eliza failed")
    assert await eliza.reply_to(1, None) == TIRED

"""All that may befall a browser, by chance: nothing written is lost, doubled, swapped.

`--seed S` begins elsewhere; `--slow` runs twenty of them: `bash tests/run
tests/browser/test_storm.py --slow --seed S`.
"""

import random
import signal

import pytest

from tests.browser.tabs import (
    assert_same_tabs,
    live,
    offline,
    online,
    sent_all,
    texts,
    write,
)

STEPS = 24  # so few that all is on one page in the end
STORMS = [pytest.param(n, marks=pytest.mark.slow if n else ()) for n in range(20)]


class Storm:
    """Two tabs of one browser, and somebody beside them."""

    def __init__(self, tab, sea, chance):
        self.tab, self.sea, self.chance = tab, sea, chance
        first = self.opened()
        self.tabs = [first, self.opened(context=first.context)]
        self.written = [[], []]  # by each tab, in its order
        self.beside = []
        self.is_offline = False

    def opened(self, **options):
        return live(self.tab("ada", f"/rooms/{self.sea.lounge}", **options))

    def write(self):
        number = self.chance.randrange(2)
        text = f"tab {number}, hai {len(self.written[number])}"
        write(self.tabs[number], text)
        self.written[number].append(text)

    def hear(self):
        self.beside.append(f"beside {len(self.beside)}")
        self.sea.send("grace", self.sea.lounge, self.beside[-1])

    def turn_the_network(self):
        if self.is_offline:
            online(self.tabs[0])
        else:
            offline(self.tabs[0])
        self.is_offline = not self.is_offline

    def restart(self):
        self.sea.restart(self.chance.choice((signal.SIGTERM, signal.SIGKILL)))

    def reload(self):
        if not self.is_offline:
            page = self.chance.choice(self.tabs)
            page.reload()
            live(page)

    def rage(self):
        acts = [self.write] * 5 + [self.hear] * 2 + [self.turn_the_network]
        acts += [self.reload]
        for number in range(STEPS):
            act = self.restart if number == STEPS // 2 else self.chance.choice(acts)
            act()
            self.tabs[0].wait_for_timeout(self.chance.randint(0, 150))
        if self.is_offline:
            self.turn_the_network()


@pytest.mark.parametrize("number", STORMS)
def test_after_a_storm_all_is_there_once_and_in_order(tab, sea, seed, number):
    storm = Storm(tab, sea, random.Random(f"{seed} {number}"))
    storm.rage()
    for page in storm.tabs:
        live(page)
        sent_all(page)
    fresh = storm.opened()
    shown = texts(fresh)
    assert sorted(shown) == sorted(
        [*storm.beside, *storm.written[0], *storm.written[1]]
    )
    for written in storm.written:
        assert [text for text in shown if text in written] == written
    for page in storm.tabs:
        assert_same_tabs(page, fresh)

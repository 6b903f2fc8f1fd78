"""Pictures damaged on purpose, by the million: what is stored of them?

    python -m tests.core.pictures.fuzz_metadata --inputs 1000000 --seed tide

Of each damaged picture: either it is refused with a picture's error, or what is
stored holds nothing that a camera said (a second opinion walks through it, and
Pillow tells what it reads), and is the same picture, pixel for pixel, wherever Pillow
could decode what came. Damage can make a file call its own comment pixels or a colour
profile: nobody can tell such bytes from pixels; the column "as pixels" counts them.
A batch is made from its seed alone, so a finding can be made again.

Then it is measured how long files of the smallest blocks (tests/blocks.py) and their
damaged copies take to follow, in CPU time for each KiB. One that takes SLOWEST times as
long as is usual in the same run is a finding, too: something walks over it again and
again.
"""

import argparse
import contextlib
import io
import random
import resource
import signal
import statistics
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from PIL import Image

from hai.core.pictures.reader import PictureReader
from hai.core.pictures.receiver import LOOK_BYTES
from hai.errors import PictureTruncated, PictureType
from tests.blocks import KINDS as BLOCKS
from tests.blocks import made_of
from tests.metadata import strangers, talkative, tells, told
from tests.pictures import chunk

KINDS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"restart_marker_blocks": 1}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"frame_count": 3}),
]
BATCH = 1_000
HANG_S = 2  # of CPU, for one input of a few KiB: the most that was seen is 0.02
STEPS = (7, 300, 1 << 20)  # bytes that come at once
PACED = 100  # damaged copies of each kind, ...
COUNTS = (1, 300, 3_000)  # ... of so many blocks
SLOWEST = 150  # times the median; the most that was seen is 40
MAX_PX = 4_000_000  # damage to the size makes pictures that take Pillow minutes


def clean(data, step=1 << 20, **options):
    """What is stored of a picture that comes `step` bytes at a time."""
    reader = PictureReader(**options)
    steps = range(0, len(data), step)
    stored = bytearray().join(reader.feed(data[at : at + step]) for at in steps)
    reader.finish()
    stored[: len(reader.head)] = reader.head
    return bytes(stored)


def damaged(data, chance):
    """A few bytes changed, and now and then a piece taken out or put in twice."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        data[chance.randrange(len(data))] = chance.choice(
            (chance.randrange(256), 0, 0xFF, 0x21, 0x2C, 0xE1, 0xDA)
        )
    at, length = chance.randrange(len(data)), chance.randrange(1, 200)
    change = chance.randrange(8)
    if change == 0:
        del data[at : at + length]
    elif change == 1:
        data[at:at] = data[at : at + length]
    return mended(bytes(data)) if chance.randrange(2) else bytes(data)


def mended(data):
    """A damaged PNG with right checksums: else most would be refused for those."""
    at, parts = 8, [data[:8]]
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
        if data[at - 8 : at - 4] == b"IEND":
            return b"".join(parts) + data[at:]
    return data


def decode(data):
    """The first frame, or None: Pillow finds it broken, or it is huge."""
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height <= MAX_PX:
                return image.convert("RGBA").tobytes()
    return None


def is_cut_short(data):
    """A GIF whose coded data ends early: Pillow takes what comes next for more."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except OSError as error:
        return data.startswith(b"GIF") and "truncated" in str(error)
    except Exception:
        return False
    return False


def fuzz(number, seed, count=BATCH):
    """One batch of one kind. Returns a Counter: inputs, refused, stored, decoded.

    Raises AssertionError with the input, or whatever the reader raised.
    """
    kind, options = KINDS[number % len(KINDS)]
    chance = random.Random(f"{kind} {options} {seed} {number}")
    seeds = [talkative(kind, n, **options) for n in (1, 6)]
    seen = Counter()
    for _ in range(count):
        data = damaged(chance.choice(seeds), chance)
        seen["inputs"] += 1
        seen.update(look_at(data, chance.choice(STEPS)))
    return seen


def look_at(data, step):
    """What became of it: names of columns."""
    try:
        with no_hang():
            cleaned = clean(data, step)
    except (PictureType, PictureTruncated):
        return ["refused"]
    except Exception as error:
        error.add_note(f"at step {step} of {data.hex()}")
        raise
    assert strangers(cleaned) == [], data.hex()
    assert not tells(told(cleaned)), data.hex()
    became = ["stored", "as pixels"] if tells(cleaned) else ["stored"]
    shown = decode(data)
    if shown is None or is_cut_short(cleaned):
        return became
    assert decode(cleaned) == shown, data.hex()
    return [*became, "decoded"]


@contextlib.contextmanager
def no_hang():
    """Raise out of what takes more than HANG_S of CPU. (main thread)"""
    signal.signal(signal.SIGVTALRM, _hangs)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _hangs(signum, frame):
    raise AssertionError(f"more than {HANG_S} s of CPU for one picture")


def run(inputs, seed, processes=2):
    """All batches. Returns {kind and options: Counter}."""
    numbers = range(max(1, inputs // BATCH))
    found = {}
    with ProcessPoolExecutor(processes) as pool:
        seeds = [seed] * len(numbers)
        for number, seen in enumerate(pool.map(fuzz, numbers, seeds, chunksize=4)):
            kind, options = KINDS[number % len(KINDS)]
            words = " ".join([kind, *(f"{k}={v}" for k, v in options.items())])
            found.setdefault(words, Counter()).update(seen)
    return found


# --- How long it takes ---------------------------------------------------------------


def cost_us(data):
    """Of following it as an upload does: CPU time for each KiB that was looked at."""
    reader, seen_bytes, began_s = PictureReader(), 0, time.process_time()
    with contextlib.suppress(PictureType, PictureTruncated):
        for at in range(0, len(data), LOOK_BYTES):
            seen_bytes += len(data[at : at + LOOK_BYTES])
            reader.feed(data[at : at + LOOK_BYTES])
        reader.finish()
    return 1e6 * (time.process_time() - began_s) / (seen_bytes / 1024)


def costs_us(kind, seed):
    """[(cost, the file)] of one kind of block, cheap ones first."""
    chance = random.Random(f"{kind} {seed}")
    files = [
        damaged(made_of(kind, chance.choice(COUNTS)), chance) for _ in range(PACED)
    ]
    return sorted((cost_us(data), data) for data in files)


def paces(seed):
    """{kind of block: (median, most) us per KiB}. Raises AssertionError with a file
    that takes far longer than is usual, each of three times."""
    found = {kind: costs_us(kind, seed) for kind in BLOCKS}
    usual_us = statistics.median(cost for costs in found.values() for cost, _ in costs)
    for kind, costs in found.items():
        most_us, data = costs[-1]
        if most_us > SLOWEST * usual_us:
            most_us = min(cost_us(data) for _ in range(3))
        assert most_us <= SLOWEST * usual_us, f"{kind}, {most_us:.0f} us: {data.hex()}"
    return {
        kind: (costs[len(costs) // 2][0], costs[-1][0]) for kind, costs in found.items()
    }


def table(found):
    """The lines to print."""
    columns = ("inputs", "refused", "stored", "decoded", "as pixels")
    rows = [*found.items(), ("all", sum(found.values(), Counter()))]
    yield f"{'':32}" + "".join(f"{column:>12}" for column in columns)
    for words, seen in rows:
        yield f"{words:32}" + "".join(f"{seen[column]:12,}" for column in columns)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.core.pictures.fuzz_metadata")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", default="tide")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began_s = time.monotonic()
    for line in table(run(given.inputs, given.seed, given.processes)):
        print(line)
    for kind, (median_us, most_us) in paces(given.seed).items():
        print(f"{kind:32}{median_us:12,.0f}{most_us:12,.0f} us per KiB at most")
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    took_s = time.monotonic() - began_s
    print(f"no findings; {took_s:,.0f} s, at most {peak_kib // 1024} MiB a process")


if __name__ == "__main__":
    sys.exit(main())

"""Pictures for the screenshots: landscapes painted from noise, so that no photograph
and no licence is needed. The same seed paints the same picture.
"""

import io
import random
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Size = tuple[int, int]
Colour = tuple[int, int, int]
Stops = Sequence[tuple[float, Colour]]  # (where, from 0 to 1; colour)


def jpeg(image: Image.Image) -> bytes:
    """The file as a camera would write it, but for what a camera adds."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def noise(chance: random.Random, size: Size, cells: Size, octaves: int = 6):
    """Clouds of grey in which each octave is twice as fine and half as strong."""
    width, height = cells
    total = Image.new("L", size, 128)
    for octave in range(octaves):
        grid = Image.new("L", (width + 3, height + 3))
        grid.putdata([chance.randrange(256) for _ in range((width + 3) * (height + 3))])
        layer = grid.resize(
            size, Image.Resampling.BICUBIC, (1, 1, width + 2, height + 2)
        )
        total = Image.blend(total, layer, 0.62 if octave == 0 else 0.5**octave * 0.62)
        width, height = min(size[0], width * 2), min(size[1], height * 2)
    return total


def table(stops: Stops) -> list[int]:
    """What `point` takes: 256 values for each of red, green and blue."""
    values: list[int] = []
    for channel in range(3):
        for level in range(256):
            values.append(_between(stops, level / 255, channel))
    return values


def _between(stops: Stops, at: float, channel: int) -> int:
    for (low, one), (high, other) in pairwise(stops):
        if at <= high:
            share = (at - low) / (high - low) if high > low else 0.0
            share = max(0.0, share)
            return round(one[channel] + (other[channel] - one[channel]) * share)
    return stops[-1][1][channel]


def coloured(grey: Image.Image, stops: Stops) -> Image.Image:
    return Image.merge("RGB", (grey, grey, grey)).point(table(stops))


def sky(size: Size, stops: Stops) -> Image.Image:
    """A gradient from the top to the bottom."""
    return coloured(Image.linear_gradient("L").resize(size), stops)


def glow(image: Image.Image, at: Size, radius: int, colour: Colour, most: int) -> None:
    """Light around a point."""
    light = ImageChops.invert(Image.radial_gradient("L")).resize(
        (2 * radius, 2 * radius)
    )
    light = light.point(lambda level: int((level / 255) ** 2.2 * most))
    lit = Image.new("RGB", image.size)
    lit.paste(colour, (at[0] - radius, at[1] - radius), light)
    image.paste(ImageChops.screen(image, lit))


def clouds(
    chance: random.Random, image: Image.Image, colour: Colour, cells: Size, amount: int
) -> None:
    """Long ones, thinner towards the top."""
    shape = noise(chance, image.size, cells)
    shape = shape.point(lambda level: max(0, min(255, (level - 128 + amount) * 4)))
    fade = (
        Image.linear_gradient("L").resize(image.size).point(lambda v: min(255, v + 70))
    )
    image.paste(colour, mask=ImageChops.multiply(shape, fade))


def ridge(
    chance: random.Random, width: int, roughness: float, steps: int = 9
) -> list[float]:
    """Heights from 0 to 1 along the width, by halving the distance again and again."""
    line = [chance.random(), chance.random()]
    spread = 0.5
    for _ in range(steps):
        longer = [line[0]]
        for one, other in pairwise(line):
            longer += [(one + other) / 2 + chance.uniform(-spread, spread), other]
        line, spread = longer, spread * roughness
    low, high = min(line), max(line)
    scale = (len(line) - 1) / max(1, width - 1)
    return [(line[round(x * scale)] - low) / (high - low) for x in range(width)]


def hill(
    chance: random.Random,
    image: Image.Image,
    top: int,
    height: int,
    near: Colour,
    far: Colour,
    *,
    roughness: float = 0.5,
    bottom: int | None = None,
) -> None:
    """A ridge filled down to `bottom`, mist below, with rock or leaves for a grain."""
    width = image.width
    bottom = image.height if bottom is None else bottom
    line = ridge(chance, width, roughness)
    mask = Image.new("L", image.size)
    points = [(x, top + height * (1 - y)) for x, y in enumerate(line)]
    ImageDraw.Draw(mask).polygon([*points, (width, bottom), (0, bottom)], fill=255)
    fade = Image.linear_gradient("L").resize((width, max(1, bottom - top)))
    grey = Image.new("L", image.size)
    grey.paste(fade, (0, top))
    grain = noise(chance, image.size, (width // 24, image.height // 12), 4)
    grey = ImageChops.add(grey, grain, 1, -128)
    body = coloured(grey, ((0.0, near), (1.0, far)))
    image.paste(body, mask=mask.filter(ImageFilter.GaussianBlur(0.7)))


def water(chance: random.Random, image: Image.Image, top: int, tint: Colour) -> None:
    """The picture above, upside down, darker, and broken into waves."""
    width, height = image.width, image.height - top
    above = image.crop((0, max(0, top - height), width, top))
    mirror = above.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((width, height))
    mirror = Image.blend(mirror, Image.new("RGB", mirror.size, tint), 0.4)
    waves = noise(chance, (width, height), (10, max(4, height // 5)), 4)
    rows = waves.load()
    moved = mirror.copy()
    for y in range(height):
        swing = (rows[width // 2, y] - 128) * (0.12 + 0.5 * y / height)
        moved.paste(
            ImageChops.offset(mirror.crop((0, y, width, y + 1)), int(swing), 0), (0, y)
        )
    crests = waves.point(lambda level: max(0, min(90, (level - 150) * 5)))
    moved.paste(tuple(min(255, c + 90) for c in tint), mask=crests)
    image.paste(moved.filter(ImageFilter.GaussianBlur(0.8)), (0, top))


def finished(chance: random.Random, image: Image.Image) -> Image.Image:
    """As a lens and a sensor leave it: darker corners, some grain."""
    corners = Image.radial_gradient("L").resize(image.size)
    corners = corners.point(lambda level: 255 - int((level / 255) ** 3 * 70))
    image = ImageChops.multiply(image, Image.merge("RGB", (corners,) * 3))
    grain = Image.effect_noise(image.size, 9)
    return ImageChops.add(image, Image.merge("RGB", (grain,) * 3), 1, -128)


def bay(seed: int = 3, size: Size = (1200, 800)) -> Image.Image:
    """The last light over a bay."""
    chance = random.Random(seed)
    width, height = size
    line = round(height * 0.6)
    image = sky(
        size,
        (
            (0.0, (38, 58, 104)),
            (0.25, (96, 110, 150)),
            (0.42, (226, 150, 120)),
            (0.56, (255, 205, 140)),
            (1.0, (255, 226, 178)),
        ),
    )
    clouds(chance, image, (255, 178, 140), (3, 14), 4)
    clouds(chance, image, (116, 92, 128), (4, 20), -8)
    sun = (round(width * 0.64), round(height * 0.5))
    glow(image, sun, 460, (255, 190, 110), 200)
    glow(image, sun, 70, (255, 246, 220), 255)
    hill(chance, image, line - 150, 120, (150, 120, 142), (226, 168, 140), bottom=line)
    hill(chance, image, line - 80, 70, (92, 82, 112), (180, 134, 130), bottom=line)
    water(chance, image, line, (78, 84, 112))
    glow(image, (sun[0], line + 90), 150, (255, 196, 120), 150)
    hill(chance, image, height - 150, 130, (24, 26, 40), (16, 18, 28), roughness=0.56)
    return finished(chance, image)


def coast(seed: int = 11, size: Size = (1000, 1000)) -> Image.Image:
    """Sand, foam and sea from above."""
    chance = random.Random(seed)
    shore = Image.linear_gradient("L").resize((2 * size[0], 2 * size[1])).rotate(24)
    shore = shore.crop((size[0] // 2, size[1] // 2, size[0] * 3 // 2, size[1] * 3 // 2))
    shore = shore.point(lambda level: max(0, min(255, (level - 128) * 2 + 128)))
    depth = ImageChops.add(shore, noise(chance, size, (4, 4), 8), 2, 0)
    image = coloured(
        depth,
        (
            (0.0, (214, 184, 140)),
            (0.36, (236, 212, 170)),
            (0.44, (206, 178, 136)),
            (0.452, (246, 250, 246)),
            (0.475, (250, 254, 252)),
            (0.485, (150, 222, 210)),
            (0.56, (64, 186, 188)),
            (0.68, (18, 128, 152)),
            (1.0, (8, 66, 104)),
        ),
    )
    foam = noise(chance, size, (70, 70), 4).point(lambda v: 255 if v > 170 else 0)
    near = depth.point(lambda v: 150 if 118 < v < 150 else 0)
    image.paste(
        (255, 255, 255),
        mask=ImageChops.multiply(foam, near).filter(ImageFilter.GaussianBlur(1)),
    )
    return finished(chance, image)


def fog(seed: int = 6, size: Size = (900, 1200)) -> Image.Image:
    """Firs on slopes, each paler than the one before it."""
    chance = random.Random(seed)
    height = size[1]
    image = sky(
        size, ((0.0, (196, 210, 216)), (0.6, (226, 230, 226)), (1.0, (236, 236, 228)))
    )
    for number in range(5):
        share = number / 4
        near = tuple(
            round(a + (b - a) * share)
            for a, b in zip((176, 192, 196), (22, 46, 46), strict=True)
        )
        mist = tuple(
            round(a + (b - a) * share)
            for a, b in zip((222, 228, 224), (70, 96, 92), strict=True)
        )
        _firs(
            chance,
            image,
            round(height * (0.2 + 0.15 * number)),
            round(24 + 40 * share),
            near,
            mist,
        )
    return finished(chance, image)


def _firs(chance, image, top, tree, near, mist):
    width, height = image.size
    line = ridge(chance, width, 0.46)
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    ground = [top + 170 * (1 - y) + tree for y in line]
    draw.polygon([*enumerate(ground), (width, height), (0, height)], fill=255)
    x = 0.0
    while x < width:
        size = tree * chance.uniform(0.7, 1.9)
        foot = ground[min(width - 1, int(x))] + 6
        for floor in range(6):
            half = size * 0.24 * (1 - floor / 7)
            low = foot - size * floor / 6
            draw.polygon(
                [(x - half, low), (x + half, low), (x, low - size * 0.42)], fill=255
            )
        x += tree * chance.uniform(0.16, 0.5)
    fade = Image.linear_gradient("L").resize((width, 420))
    grey = Image.new("L", image.size, 255)
    grey.paste(fade, (0, top))
    grey.paste(0, (0, 0, width, top))
    image.paste(
        coloured(grey, ((0.0, near), (1.0, mist))),
        mask=mask.filter(ImageFilter.GaussianBlur(0.6)),
    )


def night(seed: int = 5, size: Size = (1200, 800)) -> Image.Image:
    """Northern lights over a lake."""
    chance = random.Random(seed)
    width, height = size
    line = round(height * 0.7)
    image = sky(
        size,
        (
            (0.0, (6, 10, 30)),
            (0.5, (12, 30, 54)),
            (0.72, (26, 62, 78)),
            (1.0, (30, 70, 84)),
        ),
    )
    draw = ImageDraw.Draw(image)
    for _ in range(700):
        x, y, light = (
            chance.randrange(width),
            chance.randrange(line),
            chance.randrange(60, 255),
        )
        draw.point((x, y), (light, light, min(255, light + 20)))
    for colour, at in (
        ((60, 230, 150), 0.18),
        ((40, 190, 170), 0.3),
        ((150, 90, 190), 0.1),
    ):
        veil = noise(chance, (width, 40), (9, 2), 5).resize(
            (width, round(height * 0.5))
        )
        veil = veil.point(lambda v: max(0, min(255, (v - 118) * 4)))
        fade = Image.linear_gradient("L").resize(veil.size)
        veil = ImageChops.multiply(
            veil,
            ImageChops.multiply(
                fade, fade.point(lambda v: 255 - max(0, (v - 200) * 4))
            ),
        )
        lit = Image.new("RGB", size)
        lit.paste(colour, (0, round(height * at) - 60), veil)
        image = ImageChops.screen(image, lit.filter(ImageFilter.GaussianBlur(5)))
    hill(chance, image, line - 130, 120, (10, 22, 34), (14, 34, 44), bottom=line)
    water(chance, image, line, (10, 26, 40))
    return finished(chance, image)

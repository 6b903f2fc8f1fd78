"""Pictures, videos and voices as templates draw them: which file, and how large."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hai.web.views.albums import Tile, album

Dict = Mapping[str, Any]

LIGHT_BYTES = 300 * 1024  # an original that high-density screens load at once


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture, video or voice; a voice has no tile."""

    id: int | str
    url: str
    sources: "PictureSources"
    words: str  # its alt, or a substitute for it
    tile: Tile
    blur: str = ""
    is_animated: bool = False
    kind: str = "picture"  # or "video", "voice"
    duration_ms: int = 0
    is_whole: bool = False  # drawn with every part, also those that it does not have

    @property
    def length(self) -> str:
        return length_words(self.duration_ms)


@dataclass(frozen=True, slots=True)
class PictureSources:
    """The attributes of its <img>, and a still for users who prefer reduced motion."""

    src: str
    srcset: str = ""
    sizes: str = ""
    still: str = ""
    poster: str = ""  # of a video


NO_TILE = Tile(0, 1, 1, 1)
# What the file dialog offers; phones convert other types.
ACCEPTED = (
    *("image/png", "image/jpeg", "image/gif", "image/webp"),
    *("video/mp4", "video/webm", "video/quicktime"),
    *("audio/mp4", "audio/ogg", "audio/webm", ".m4a", ".opus"),
)


def accepted_types() -> str:
    return ",".join(ACCEPTED)


def max_bytes(handler: Any) -> dict[str, int]:
    """Of a file, by its kind; static/js/models/tray.js refuses larger ones."""
    config = handler.core.config
    return {
        "picture": config.max_picture_bytes,
        "video": config.max_video_bytes,
        "voice": config.max_voice_bytes,
    }


def kind_of(picture: Dict) -> str:
    kinds = {"video": "video", "audio": "voice"}
    return kinds.get(picture["type"].partition("/")[0], "picture")


def length_words(ms: int) -> str:
    """ "0:07", "12:30" or "1:02:03"; "" for nothing."""
    if not ms:
        return ""
    minutes, seconds = divmod(max(1, (ms + 500) // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def is_voice(picture: Dict) -> bool:
    return kind_of(picture) == "voice"


def voice_view(voice: Dict) -> PictureView:
    duration_ms = voice.get("duration_ms", 0)
    words = voice.get("alt") or f"Voice hai {length_words(duration_ms)}".strip()
    about = (voice["id"], voice["url"], PictureSources(""), words, NO_TILE)
    return PictureView(*about, kind="voice", duration_ms=duration_ms)


def picture_views(hai: Dict, name: str) -> list[PictureView]:
    """The pictures and videos of a hai, laid out; voices are separate. name: of the
    sender."""
    seen = [picture for picture in kept_pictures(hai) if not is_voice(picture)]
    tiles = album(tuple((picture["width"], picture["height"]) for picture in seen))
    return [
        PictureView(
            picture["id"],
            picture["url"],
            media_sources(picture, tile.width),
            picture.get("alt") or picture_words(picture, name, number, len(seen)),
            tile,
            picture.get("blur", ""),
            picture.get("is_animated", False),
            kind_of(picture),
            picture.get("duration_ms", 0),
        )
        for number, (picture, tile) in enumerate(zip(seen, tiles, strict=True), 1)
    ]


def picture_words(picture: Dict, name: str, number: int, count: int) -> str:
    """The alt text of a picture without a description; its file name says less."""
    what = kind_of(picture).capitalize()
    which = what if count == 1 else f"{what} {number} of {count}"
    return f"{which} from {name}, not described"


def media_sources(picture: Dict, box_px: int) -> "PictureSources":
    if kind_of(picture) == "video":
        return PictureSources("", poster=picture.get("thumbnail", {}).get("url", ""))
    return picture_sources(picture, box_px)


def picture_sources(picture: Dict, box_px: int) -> PictureSources:
    """Which file to show: the thumbnail, if there is one; on high-density screens a
    light original; an animated picture itself, unless reduced motion is preferred."""
    url, thumbnail = picture["url"], picture.get("thumbnail")
    if not thumbnail:
        return PictureSources(url)
    if picture.get("is_animated"):
        return PictureSources(url, still=thumbnail["url"])
    small_px, full_px = thumbnail["width"], picture["width"]
    if picture["bytes"] > LIGHT_BYTES or full_px <= small_px:
        return PictureSources(thumbnail["url"])
    srcset = f"{thumbnail['url']} {small_px}w, {url} {full_px}w"
    return PictureSources(thumbnail["url"], srcset, f"min({box_px}px, 92vw)")


def kept_pictures(hai: Dict) -> list[Dict]:
    return [picture for picture in hai["pictures"] if "gone_at" not in picture]


def gone_words(hai: Dict) -> str:
    """Shown in place of pictures that were not kept; empty if there were none."""
    gone = [picture for picture in hai["pictures"] if "gone_at" in picture]
    if len(gone) > 1:
        return f"{len(gone)} {media_words(gone).lower()}, no longer kept"
    if not gone:
        return ""
    words, alt = f"{media_words(gone)}, no longer kept", gone[0].get("alt")
    return f"{words}: {alt}" if alt else words


MEDIA_WORDS = {
    "picture": ("A picture", "Pictures"),
    "video": ("A video", "Videos"),
    "voice": ("A voice hai", "Voice hais"),
}


def media_words(pictures: list[Dict]) -> str:
    kinds = {kind_of(picture) for picture in pictures} or {"picture"}
    if len(kinds) > 1:
        return "Pictures and videos"
    one, many = MEDIA_WORDS[kinds.pop()]
    return one if len(pictures) == 1 else many


def small_url(picture: Dict) -> str:
    """The thumbnail; without one the picture itself, if it is light."""
    if "thumbnail" in picture:
        return str(picture["thumbnail"]["url"])
    is_light = kind_of(picture) == "picture" and picture["bytes"] <= LIGHT_BYTES
    return picture["url"] if is_light else ""


def blank_picture_view(handler: Any) -> PictureView:
    return PictureView("", "", PictureSources(""), "", NO_TILE, is_whole=True)

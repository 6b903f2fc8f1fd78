"""Pictures, videos and voices as they are drawn."""

from hai.web.views.pictures import gone_words, picture_views, small_url
from tests.web.views.made import hai, shown


def test_videos_lie_among_pictures_and_voices_below():
    film = shown(2, type="video/mp4", width=1920, height=1080, duration_ms=7000)
    voice = shown(3, type="audio/ogg", width=0, height=0)
    mixed = hai(pictures=[shown(1), voice, film])
    one, two = picture_views(mixed, "Ada")
    assert (one.kind, two.kind, two.length) == ("picture", "video", "0:07")
    assert one.tile.span + two.tile.span == 48
    assert two.words == "Video 2 of 2 from Ada, not described"
    assert small_url(film) == ""


def test_a_picture_that_nobody_described_says_whose_and_which_it_is():
    views = picture_views(hai(pictures=[shown(1), shown(2, alt="A bay")]), "Ada")
    words = [view.words for view in views]
    assert words == ["Picture 1 of 2 from Ada, not described", "A bay"]
    [view] = picture_views(hai(pictures=[shown(1)]), "Ada")
    assert view.words == "Picture from Ada, not described"


def test_pictures_that_were_not_kept_leave_their_words():
    gone = {"gone_at": 1, "type": "image/png"}
    film = gone | {"type": "video/mp4"}
    words = [[], [{}], [gone], [gone | {"alt": "A lake"}], [gone, {}, gone]]
    words += [[film], [film, gone]]
    assert [gone_words(hai(pictures=pictures)) for pictures in words] == [
        "",
        "",
        "A picture, no longer kept",
        "A picture, no longer kept: A lake",
        "2 pictures, no longer kept",
        "A video, no longer kept",
        "2 pictures and videos, no longer kept",
    ]

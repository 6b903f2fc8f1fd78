"""Makes the pictures of the README anew: python -m tests.screenshots

Serves made-up people in a temporary folder, has them talk over the API, and looks at
it with Debian's Chromium, on a desktop in the light and on a phone in the dark. What
it sees goes to docs/images/, as WebP and below 120 KB each.
"""

import io
import json
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.screenshots import scenes
from tests.served import ROOT, Served

FOLDER = ROOT / "docs" / "images"
MAX_BYTES = 120_000
WIDTH_PX = {"desktop": 1280, "phone": 640}  # of the files
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 2}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}

PEOPLE = {
    "mira": "Mira Berg",
    "kofi": "Kofi Mensah",
    "ines": "Ines Castro",
    "jonas": "Jonas Lindqvist",
    "aylin": "Aylin Kaya",
}
ROOMS = {
    "Harbour": "Tides, boats and weather",
    "Darkroom": "Photographs, finished and not",
    "Garden": "Seeds, slugs and the first tomatoes",
    "Kitchen table": "What is for lunch, and who brings the bread",
    "Choir": "Altos are looking for basses",
}
PICTURES = {
    "evening.jpg": (scenes.bay, "The last light over a bay"),
    "sandbank.jpg": (scenes.coast, "Sand, foam and sea from above"),
    "firs.jpg": (scenes.fog, "Firs in the fog, slope behind slope"),
    "northern lights.jpg": (scenes.night, "Northern lights over a lake"),
}
ANSWERED = "northern lights.jpg"  # in the place of pictures: a reply to that one
# room, who, how many minutes ago, what; pictures; who reacted how
TALK = (
    ("Garden", "aylin", 170, "The first tomatoes are red. I am *very* proud.", (), ()),
    ("Choir", "jonas", 131, "Thursday at eight, and bring a pencil.", (), ()),
    ("Kitchen table", "ines", 96, "There is soup for six.", (), ()),
    ("Kitchen table", "kofi", 94, "I bring the bread.", (), ()),
    ("Darkroom", "jonas", 67, "Back from the islands. No wind for two days.", (), ()),
    ("Darkroom", "aylin", 66, "So you rowed?", (), ()),
    ("Darkroom", "jonas", 64, "I slept.", (), (("🎉", "aylin", "mira", "kofi"),)),
    (
        "Darkroom",
        "ines",
        41,
        "Three from the week. The sandbank is the one that moves:",
        ("sandbank.jpg", "firs.jpg", "northern lights.jpg"),
        (("❤️", "mira", "kofi", "jonas"), ("🌱", "aylin")),
    ),
    ("Darkroom", "kofi", 38, "Where did you stand for this?", ANSWERED, ()),
    (
        "Darkroom",
        "ines",
        37,
        "On the jetty, until my hands gave up.",
        (),
        (("🎉", "kofi"),),
    ),
    ("Darkroom", "mira", 12, "These must be printed, and **large**.", (), ()),
    ("Harbour", "aylin", 35, "Who sails on Saturday?", (), ()),
    ("Harbour", "jonas", 33, "High water at six, so let us go before.", (), ()),
    ("Harbour", "ines", 31, "I am in. Who has the key to the shed?", (), ()),
    ("Harbour", "jonas", 30, "Under the blue boat.", (), (("👍", "ines"),)),
    (
        "Harbour",
        "mira",
        9,
        "And this is what you all missed:",
        ("evening.jpg",),
        (("🎉", "ines"), ("👍", "kofi", "jonas")),
    ),
    ("Harbour", "kofi", 6, "Same time tomorrow? I bring chairs.", (), ()),
)


class Village:
    """The people of a server, each with a token."""

    def __init__(self, server):
        self.server = server
        self.tokens = {}
        self.rooms = {}
        self.pictures = {}

    def move_in(self):
        for name in PEOPLE:
            role = "owner" if name == "mira" else "member"
            self.server.run("users", "add", name, "--role", role)
        tokens = self.server.run("users", "token", *PEOPLE).split()
        self.tokens = dict(zip(PEOPLE, tokens, strict=True))
        for name, shown in PEOPLE.items():
            self.form(name, "/settings", {"display_name": shown})
        ids = [self.ask(name, "me")["user"]["id"] for name in PEOPLE]
        for name, topic in ROOMS.items():
            made = self.ask(
                "mira", "rooms", {"name": name, "kind": "open", "member_ids": ids}
            )
            self.rooms[name] = made["room"]["id"]
            self.ask("mira", f"rooms/{self.rooms[name]}", {"topic": topic})
        made = self.ask("mira", "direct", {"user_ids": [ids[2]]})
        self.rooms["Ines"] = made["room"]["id"]
        self.avatar("ines", scenes.coast(4, (400, 400)))
        self.avatar("kofi", scenes.night(9, (400, 400)))
        self.avatar("aylin", scenes.fog(2, (400, 400)))

    def talk(self):
        """Say everything; returns the hais with how many minutes ago each was."""
        said = {}
        for room, name, minutes, text, pictures, reactions in TALK:
            order = {"text": text}
            if pictures == ANSWERED:
                hai_id, picture_id = self.pictures[ANSWERED]
                order |= {"reply_to": hai_id, "reply_to_picture": picture_id}
            elif pictures:
                ids = [self.picture(name, room, picture) for picture in pictures]
                order["picture_ids"] = ids
            path = f"rooms/{self.rooms[room]}/hais"
            hai = self.ask(name, path, order)["hai"]
            said[hai["id"]] = minutes
            for picture in hai["pictures"]:
                self.pictures[picture["name"]] = hai["id"], picture["id"]
            for emoji, *fans in reactions:
                for fan in fans:
                    path = f"hais/{hai['id']}/reactions"
                    self.ask(fan, path, {"emoji": emoji})
            if room != "Garden":
                path = f"rooms/{self.rooms[room]}/read"
                self.ask("mira", path, {"hai_id": hai["id"]})
        path = f"rooms/{self.rooms['Ines']}/hais"
        said[self.ask("ines", path, {"text": "Can I print it?"})["hai"]["id"]] = 2
        return said

    def ask(self, name, path, fields=None):
        """One request to the API: a POST if there are fields."""
        body = json.dumps(fields).encode() if fields else None
        return self.request(name, f"/api/v1/{path}", body, "application/json")

    def form(self, name, path, fields):
        kind = "application/x-www-form-urlencoded"
        return self.request(name, path, urlencode(fields).encode(), kind)

    def picture(self, name, room, picture):
        paint, alt = PICTURES[picture]
        path = f"/api/v1/rooms/{self.rooms[room]}/pictures"
        parts = {"alt": alt.encode(), "picture": scenes.jpeg(paint())}
        return self.multipart(name, path, parts, picture)["pictures"][0]["id"]

    def avatar(self, name, image):
        parts = {"picture": scenes.jpeg(image)}
        self.multipart(name, "/api/v1/me/avatar", parts, "me.jpg")

    def multipart(self, name, path, parts, file_name):
        body = b""
        for field, value in parts.items():
            about = f'; filename="{file_name}"' if field == "picture" else ""
            head = f'--sea\r\nContent-Disposition: form-data; name="{field}"{about}'
            body += head.encode() + b"\r\n\r\n" + value + b"\r\n"
        kind = "multipart/form-data; boundary=sea"
        return self.request(name, path, body + b"--sea--\r\n", kind)

    def request(self, name, path, body, kind):
        headers = {
            "Authorization": f"Bearer {self.tokens[name]}",
            "Accept": "application/json",
            "Content-Type": kind,
        }
        with urlopen(Request(self.server.url + path, body, headers)) as answer:
            return json.load(answer)


def let_time_pass(path, said):
    """Each hai was sent when it is said to have been. Hai is stopped meanwhile."""
    with closing(sqlite3.connect(path)) as db, db:
        for hai_id, minutes in said.items():
            change = "UPDATE hais SET sent_at = sent_at - ? WHERE id = ?"
            db.execute(change, (minutes * 60_000, hai_id))


def look(browser, village, who, room, **options):
    """A screenshot of a room as one of them sees it, once it is live and drawn."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", **options)
    cookie = {"name": "hai_session", "value": village.tokens[who]}
    context.add_cookies([cookie | {"url": village.server.url}])
    page = context.new_page()
    page.goto(f"{village.server.url}/rooms/{village.rooms[room]}")
    page.wait_for_selector('html[data-live][data-socket="up"]')
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1000)  # for what fades in
    shot = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return shot


def save(name, shot):
    """As good as fits."""
    width = WIDTH_PX[name]
    shot = shot.resize((width, round(shot.height * width / shot.width)))
    path = FOLDER / f"{name}.webp"
    for quality in range(90, 30, -5):
        shot.convert("RGB").save(path, quality=quality, method=6)
        if path.stat().st_size < MAX_BYTES:
            break
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


def wait_for_thumbnails(village):
    """They are made after the hai is told."""
    for room in ("Darkroom", "Harbour"):
        path = f"rooms/{village.rooms[room]}/hais"
        while not all(
            "thumbnail" in picture
            for hai in village.ask("mira", path)["hais"]
            for picture in hai["pictures"]
        ):
            time.sleep(0.1)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = Served(Path(folder, "data"), "--rate-limits", "off").start()
        try:
            village = Village(server)
            village.move_in()
            said = village.talk()
            wait_for_thumbnails(village)
            server.stop()
            let_time_pass(server.data / "hai.db", said)
            server.start()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=["--no-sandbox"]
                )
                light, dark = {"color_scheme": "light"}, {"color_scheme": "dark"}
                shot = look(browser, village, "mira", "Darkroom", **DESKTOP, **light)
                save("desktop", shot)
                save(
                    "phone", look(browser, village, "kofi", "Harbour", **PHONE, **dark)
                )
                browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()

"""What a browser or a program calls itself, in a few words."""

# What a User-Agent contains, the most specific first.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
BROWSERS |= {"Safari": "Safari", "curl": "curl"}
SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android"}
SYSTEMS |= {"Windows": "Windows", "Mac OS": "Mac", "Linux": "Linux"}


def words(user_agent: str | None) -> str:
    """ "Firefox on Linux", as well as one can tell."""
    agent = user_agent or ""
    browser = next((name for sign, name in BROWSERS.items() if sign in agent), "")
    system = next((name for sign, name in SYSTEMS.items() if sign in agent), "")
    return " on ".join(filter(None, (browser, system))) or "A program"

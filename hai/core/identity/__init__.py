"""Who is asking: sessions, passwords and invites.

The lowest subfolder: nothing here knows of rooms or pictures. Start with sessions.py,
which turns a cookie or a token into an Identity.
"""

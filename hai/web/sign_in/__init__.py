"""Everything that ends in a session: signing in and up, second steps, one's account.

Start with sessions.py, the form with name and password and what all others share; then
second_step.py, which asks for more where there is a second factor. Rules are in
core/identity/; nothing here knows of rooms.
"""

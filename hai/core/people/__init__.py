"""Accounts and their administration: sign-up, settings, roles, usage, resets.

May use talk/ and identity/, because new and deactivated users also join and leave
rooms. Start with accounts.py, then admin.py.
"""

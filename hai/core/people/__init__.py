"""Accounts and those who look after them: sign-up, settings, roles, usage, resets.

May use talk/ and identity/, because who comes and goes also joins and leaves rooms.
Start with accounts.py, then admin.py.
"""

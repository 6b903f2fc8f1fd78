"""The load generator: many raw sockets in one process, and what they should hear.

Knows no scenario. Start with clients.py (the sockets), then stream.py (how every byte
that they hear is checked).
"""

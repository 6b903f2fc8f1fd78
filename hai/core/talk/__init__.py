"""Rooms and what is said in them: hais, reactions, read markers, typing, search.

Knows pictures only as the rows that a hai has. Start with hais.py (how a hai is
stored), then rooms.py (who is in a room and may do what), then changes.py (catching
up).
"""

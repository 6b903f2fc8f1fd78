"""Rooms and what is said in them: hais, reactions, read markers, typing, search.

Knows pictures only as the rows that a hai carries. Start with hais.py (a hai on its
way to being stored), then rooms.py (who is in, who may), then changes.py (catching up).
"""

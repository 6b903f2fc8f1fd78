"""The HTTP edge: pages, forms, pictures and the API for programs.

A handler parses, asks core for one thing and answers; nothing here decides who
may do what. Imports core and below, never another edge. Start reading with
routes.py (every URL), then base.py (who is asking, how errors are answered),
bodies.py (how a body is received) and pictures.py (the one that streams).
"""

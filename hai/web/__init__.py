"""The HTTP edge: pages, forms, pictures and the API for programs.

A handler parses, asks core for one thing and responds; no permissions are decided here.
Imports core and below, never another edge. http/ is the common part of all responses,
views/ is what templates receive. Start reading with routes.py (every URL), then
http/base.py and pictures.py (the one that streams).
"""

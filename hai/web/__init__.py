"""The HTTP edge: pages, forms, pictures and the API for programs.

A handler parses, asks core for one thing and answers; nothing here decides who
may do what. Imports core and below, never another edge. http/ is the frame of every
answer and views/ what templates are given. Start reading with routes.py (every URL),
then http/base.py and pictures.py (the one that streams).
"""

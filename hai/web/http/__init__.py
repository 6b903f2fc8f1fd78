"""The frame of every answer: who asks, bodies in, pages and JSON out, files, headers.

Knows no page and no route; the files above, one per noun, build on it. Start with
base.py (who is asking, how errors are answered), then bodies.py (how a body is
received), receiving.py (one with pictures in it) and responses.py.
"""

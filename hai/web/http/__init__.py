"""The common part of all responses: identity, request bodies, pages and JSON, files,
headers.

Knows no page and no route; the files above, one per noun, build on it. Start with
base.py (who is asking, how errors are returned), then bodies.py (how a body is
received), receiving.py (a body with pictures) and responses.py.
"""

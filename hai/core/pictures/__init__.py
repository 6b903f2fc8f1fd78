"""Pictures, videos and voices: how they arrive, are cleaned, kept, shown and expire.

The top wing: nothing else in core imports it but orders.py. Nothing is decoded in this
process; thumbnails.py and poster_child.py are programs of their own. Start with
receiver.py (bytes in), then reader.py and formats/ (what they are), then arriving.py
(into the database) and stored.py (and out again).
"""

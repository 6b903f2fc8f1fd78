"""What Hai means: its rules, permissions and use cases, one file per noun.

Knows no protocol: no tornado, no socketio, no request objects. A function that changes
something is plain and returns a future: its writes are queued before it returns, so
callers keep an order by calling in that order. Subfolders import downwards only:
pictures -> people -> talk -> identity, and all of them the files beside this one. Above
them is orders.py, everything that clients can ask for: start reading there, then
talk/hais.py.
"""

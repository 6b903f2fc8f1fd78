"""Sockets: Socket.IO over WebSocket and polling, and plain JSON on /ws.

Orders arrive here and are handed to core; facts come from the bus and go out to
everyone who may see them. No permission rule lives here. Only this folder imports
socketio. python-socketio provides the protocol and the API; the byte level below it is
ours, in wire/. Start with server.py, then namespace.py and orders.py; directory.py and
presence.py decide who receives what.
"""

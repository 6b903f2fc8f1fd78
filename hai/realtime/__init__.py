"""Sockets: Socket.IO over WebSocket and polling, and plain JSON on /ws.

Orders come in here and are handed to core; facts come from the bus and go out
to whoever may hear them. No rule about who may do what lives here. Only this
folder imports socketio. python-socketio is the protocol and the API; the way
of the bytes under it is ours, in wire/. Start with server.py, then namespace.py and
orders.py; directory.py and presence.py say who hears what.
"""

"""The byte level: Engine.IO sessions, WebSocket frames, outboxes, heartbeat.

Knows no orders and no facts, only packets and who may connect (handshake.py). Nothing
here imports the files above it in realtime/. Start with transport.py (a request), then
engine.py (a session), outbox.py (what is waiting to be sent) and websocket.py.
"""

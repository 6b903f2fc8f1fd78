"""Bots: users that are programs, told of hais and replying with hais.

base.py defines what a bot must be; dispatcher.py brings it hais from the bus and posts
its replies, as any client would, through core's orders. eliza.py is the built-in bot.
Nothing here knows about sockets, pages or SQL, and a bot never blocks the event loop.
Start reading with base.py.
"""

"""Bots: users that are programs, told of hais and answering with hais.

base.py is all that a bot must be; dispatcher.py brings it hais from the bus and
posts what it returns, as any client would, through core's orders. eliza.py is the
resident. Nothing here knows of sockets, pages or SQL, and a bot never runs on the
event loop. Start reading at base.py.
"""

"""Tables, SQL and the writer thread: how Hai keeps things.

Knows no rule and no protocol: who may do what is decided in core/. Only this
folder imports peewee or sqlite3, and every line of SQL text stands here; what only
SQLite needs is in sqlite/. Start reading with models.py (what is kept), then writer.py
(how it becomes durable), then database.py (who may read where).
"""

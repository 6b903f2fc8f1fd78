"""Tables, SQL and the writer thread: how Hai stores things.

Knows no rule and no protocol: permissions are decided in core/. Only this folder
imports peewee or sqlite3, and all SQL text is here; what is specific to SQLite is in
sqlite/. Start reading with models.py (what is stored), then writer.py (how it becomes
durable), then database.py (who may read where).
"""

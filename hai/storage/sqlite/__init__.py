"""What is specific to SQLite: its log, readers, faults, reserve, migrations, backups
and verification.

Tables and their queries are in the folder above, which imports this one; this one does
not import it. Start with faults.py (what can go wrong), then wal.py and backup.py.
"""

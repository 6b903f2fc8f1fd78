"""What is SQLite's own: its log, readers, faults, reserve, migrations, backups and
verification.

Tables and their queries are in the folder above, which imports this one and is not
imported by it. Start with faults.py (what can go wrong), then wal.py and backup.py.
"""

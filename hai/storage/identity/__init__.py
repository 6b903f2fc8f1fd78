"""What people prove who they are with, besides passwords: statements only.

A wing above the rest of storage. The rules are in core/identity/ under the same names.
"""

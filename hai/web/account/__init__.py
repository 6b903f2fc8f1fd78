"""One's own account beyond the first page of settings: tokens, and what was done.

Begin with tokens.py.
"""

"""Sizes and times that several parts of Hai count in."""

MIB = 1024 * 1024
CHUNK_BYTES = 256 * 1024  # of a picture: one row of its bytes; the last may be shorter
UTF8_BYTES = 4  # the most that one character takes
DAY_MS = 24 * 60 * 60 * 1000

"""Shared by every kind of data: decoding, the cache, file hashes, tables, findings about bad files, the division.
May import nothing of ours.
"""

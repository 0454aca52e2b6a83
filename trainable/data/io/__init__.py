"""What every kind of data shares: decoding, the cache, file hashes, tables, findings about bad files, the division.
May import nothing of ours.
"""

"""What every kind of data shares: decoding, the cache, file hashes, findings about bad files, splits and leakage.
May import nothing of ours.
"""

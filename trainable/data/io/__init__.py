"""What every kind of data shares: decoding, the cache, file hashes, findings about bad files, splits and leakage. May
import trainable.data.image_mask.image_mask_set, where the splits of every kind are defined.
"""

"""Images with masks: folder layouts, mask checks, batches. May import trainable.data.io and
trainable.data.splitting.
"""

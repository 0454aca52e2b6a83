"""Aerial tiles with tree crowns: annotations matched with pictures, tiling, batches; formats/ reads each form of
annotation. May import trainable.data.image_mask, trainable.data.io, trainable.data.splitting and
trainable.techniques.progressive_resolution.
"""

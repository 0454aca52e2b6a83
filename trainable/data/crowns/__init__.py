"""Aerial tiles with tree crowns: counts of their kinds, label images of classes, tiling, batches. May import
trainable.data.annotations, trainable.data.image_mask, trainable.data.io, trainable.data.splitting and
trainable.techniques.progressive_resolution.
"""

"""Aerial tiles with tree crowns: annotations in four formats, tiling, batches. May import trainable.data.image_mask,
trainable.data.io and trainable.techniques.progressive_resolution.
"""

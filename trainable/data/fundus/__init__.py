"""Fundus photographs with tables of two grades. May import trainable.data.classes.labelled_images,
trainable.data.image_mask.image_mask_set and trainable.data.io.
"""

"""Fundus photographs with tables of two grades. May import trainable.data.classes.labelled_images
and trainable.data.io.
"""

"""Fundus photographs with tables of two grades. May import trainable.data.classes.labelled_images,
trainable.data.classes.class_folders and trainable.data.io.
"""

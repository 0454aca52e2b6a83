"""Fundus photographs with tables of two grades. May import trainable.data.classes.class_folders,
trainable.data.classes.labelled_images, trainable.data.io and trainable.data.splitting.
"""

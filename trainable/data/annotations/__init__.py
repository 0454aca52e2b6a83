"""Boxes, outlines and masks that people marked on pictures: the files of a folder, matched with its pictures
(sources), and outlines as images with masks (outlined_pairs); formats/ reads each form of file, objects/ is what they
give. May import trainable.data.image_mask, trainable.data.io and trainable.data.splitting.
"""

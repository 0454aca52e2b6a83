"""Images with one label each: class folders, batches, dirty variants of clean pictures. May import
trainable.command_line, trainable.data.generated, trainable.data.image_mask.image_mask_set, trainable.data.io
and trainable.techniques.augment.two_views.
"""

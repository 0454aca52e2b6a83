"""Images with one label each: class folders, batches, dirty variants of clean pictures. May import
trainable.console.command_line, trainable.data.drawing, trainable.data.io, trainable.data.splitting and
trainable.techniques.augment.two_views.
"""

"""The embedded data: drawn pictures of unlimited number with exact labels. May import trainable.console.command_line,
trainable.data.drawing, trainable.data.io, and of trainable.data.classes, trainable.data.crowns, trainable.data.fundus
and trainable.data.image_mask how each kind is kept.
"""

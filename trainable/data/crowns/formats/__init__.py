"""The forms in which people annotate crowns, one file each; all give an `AnnotationFile`. May import
trainable.data.crowns and trainable.data.io.
"""

"""The forms in which people annotate pictures, one file each; all give an `AnnotationFile`. May import
trainable.data.annotations.objects and trainable.data.io.
"""

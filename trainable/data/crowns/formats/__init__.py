"""The shapes of crowns, and the forms in which people annotate them, one file each; all give an `AnnotationFile`. May
import trainable.data.io.
"""

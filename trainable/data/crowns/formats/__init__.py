"""The forms in which people annotate crowns, one file each; all give an `AnnotationFile`."""

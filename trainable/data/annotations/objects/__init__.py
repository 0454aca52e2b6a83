"""Objects as files annotate them: the content of a file (annotation_file), boxes, outlines and masks, each checked as
it is made, so that a bad one costs itself and says why (written_values), and their pixels (rasterising). May import
trainable.data.io.
"""

"""Objects as files annotate them: the content of a file, each shape with its checks, and its pixels. May import
trainable.data.io.
"""

"""From files to batches: io/ is shared, image_mask/, classes/, crowns/ and fundus/ are kinds of data, generated/ is the
embedded data. Images are decoded once and memory-mapped.
"""

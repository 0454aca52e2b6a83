"""From files to batches: io/ and splitting/ are shared, image_mask/, classes/, crowns/ and fundus/ are kinds of data,
annotations/ is what label tools write, generated/ the embedded data, drawing/ what it is made of. Images are decoded
once and memory-mapped.
"""

"""Several processes that train one model exactly as one process would. May import
trainable.techniques.random_streams.
"""

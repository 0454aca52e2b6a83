"""Mixtures of experts: routing counts, load balancing, detection of collapse and the response to it. May import
trainable.models.output, trainable.saved_state and trainable.techniques.parallel.random_streams.
"""

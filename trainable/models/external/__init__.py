"""Networks and weights of timm, and the trained weights that are installed. May import trainable.models and
trainable.configuration.weight_places.
"""

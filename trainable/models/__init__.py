"""Networks, and what they return. May import torch, torchvision, trainable.configuration.fields
and trainable.data.io.counted.
"""

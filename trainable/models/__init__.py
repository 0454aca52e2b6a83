"""Networks, what they return, and files of weights; a network of the user's own. May import torch, torchvision,
trainable.configuration and trainable.data.io.counted. timm's are found by name, in external/.
"""

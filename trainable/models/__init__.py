"""Networks, what they return, and a network of the user's own; backbones/ has what they are built on. May import torch,
torchvision, trainable.configuration and trainable.plain_state.
"""

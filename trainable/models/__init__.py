"""Networks, and what they return. May import torch, torchvision and trainable.configuration.fields."""

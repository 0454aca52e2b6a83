"""Networks, and what they return. May import torch, torchvision, trainable.fields and trainable.reference."""

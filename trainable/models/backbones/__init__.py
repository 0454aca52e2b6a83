"""Backbones by name (registry), the project's own, torchvision's and timm's, and the files of their weights. May import
torch, torchvision, timm, trainable.configuration and trainable.data.io.counted.
"""

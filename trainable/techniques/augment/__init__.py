"""Augmentation of whole batches on the training device: colour, geometry, mixing, and its strength by epoch. May import
trainable.configuration.fields, trainable.configuration.share_of_epochs, trainable.device_copy and
trainable.techniques.optim.older_torch.
"""

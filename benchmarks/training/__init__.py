"""The costs of a training: steps, validation, augmentation, data, metrics, and all of it on a GPU."""

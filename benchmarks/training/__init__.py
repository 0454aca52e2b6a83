"""What a training spends: steps, validation, augmentation, data, metrics, and all of it on a GPU."""

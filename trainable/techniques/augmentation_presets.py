"""Recommended progressive augmentation by planned length, and a gentle one for trainings that it throws off course.

The documents give these rows in epochs; here they are parts of the planned length, with their ramp of 10 epochs.
A search begins with the first three; a test holds the rows of its space to these.
"""

from trainable.techniques.progressive_augmentation import AugmentationConfig

AUGMENTATION_PRESETS: dict[str, AugmentationConfig] = {
    "50_epochs": AugmentationConfig(start_fraction=0.3, ramp_fraction=0.2, max_strength=0.7),
    "100_epochs": AugmentationConfig(start_fraction=0.2, ramp_fraction=0.1, max_strength=0.8),
    "200_epochs": AugmentationConfig(start_fraction=0.2, ramp_fraction=0.05, max_strength=0.9),
    "gentle": AugmentationConfig(start_fraction=0.3, ramp_fraction=0.2, initial_strength=0.2, max_strength=0.6),
}

"""The outputs of a standalone training: its folder, curve and trackers, a picture, a profile of its time."""

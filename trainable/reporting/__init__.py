"""The outputs of a standalone training: its folder, its trackers, a picture, a profile of its time."""

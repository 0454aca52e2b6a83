"""What a standalone training writes and shows: its folder, its trackers, a picture, a profile of its time."""

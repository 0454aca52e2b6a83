"""What a standalone training writes and shows: its folder, its trackers, a profile of its time."""

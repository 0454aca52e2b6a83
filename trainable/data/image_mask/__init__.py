"""Images with masks: folder layouts, mask checks, batches."""

"""Images with one label each: class folders, batches, dirty variants of clean pictures."""

"""Metrics that accumulate over batches and ranks. May import trainable.losses and trainable.techniques.calibration."""

"""Metrics that accumulate over batches and ranks, and the calibration of a classifier. May import trainable.losses."""

"""Metrics that accumulate over batches and ranks. May import trainable.losses, trainable.supervision.crowns and
trainable.techniques.calibration.
"""

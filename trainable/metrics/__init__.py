"""Metrics that accumulate over batches and ranks."""

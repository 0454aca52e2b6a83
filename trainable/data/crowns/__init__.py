"""Aerial tiles with tree crowns: annotations in four formats, tiling, batches."""

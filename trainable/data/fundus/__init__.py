"""Fundus photographs with tables of two grades."""

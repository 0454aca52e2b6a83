"""Mixtures of experts: routing counts, load balancing, detection of collapse and the response to it."""

"""Strategies of each workload by name, as parameters over its default: the numbers of its document."""

"""The workloads: the interface (task.py), one file per workload, and their presets in presets/. May
import trainable.
"""

"""What differs between workloads, and nothing else: the interface (task), one file a workload; presets in a room."""

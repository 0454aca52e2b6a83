"""What may vary: one file a workload. Knows the questions of an Optuna trial; neither torch nor ray."""

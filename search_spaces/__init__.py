"""The search spaces, one file per workload. They use an Optuna trial's `suggest_` methods; neither torch nor ray."""

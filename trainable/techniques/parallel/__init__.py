"""Several processes that train one model exactly as one process would."""

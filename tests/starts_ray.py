"""Where tests start Ray: three at once on two cores take five times as long as one after the other."""

STARTS_RAY = (
    "tests/tuner/end_to_end/",
    "tests/tuner/test_run.py",
    "tests/tuner/confirmation/test_confirm.py",
    "tests/tuner/baselines/test_baselines.py",
    "tests/tuner/ray/",
)

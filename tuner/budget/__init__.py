"""What a search may use. Its time and what that buys: what is measured (measurement, step_timing, learning_curve), the
simulated duration (duration), what is left of a running search (time_left), the choice of epochs and trials (choice),
what a dry run says (dry_run, dry_run_text), and when a search with a stated time closes (stated_time). The disk space
of its checkpoints (disk). May import search_spaces, trainable, tuner.selection, tuner.formatting, tuner.planning,
tuner.policy, tuner.ray, tuner.records, tuner.results and tuner.settings.
"""

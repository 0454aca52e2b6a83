"""Time and disk space of a search. Time: its measurement (measurement, step_timing, learning_curve), the simulated
duration (duration), the time left of a running search (time_left), the choice of epochs and trials (choice), the text
of a dry run (dry_run, dry_run_text), and when a search with a stated time closes (stated_time). Disk space: that of
its checkpoints (disk). May import search_spaces, trainable, tuner.selection, tuner.formatting, tuner.planning,
tuner.policy, tuner.ray, tuner.records, tuner.results and tuner.settings.
"""

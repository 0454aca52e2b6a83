"""Views of a running search: on the terminal (a live view, or plain lines in a pipe) and as a page in the browser;
and the page of a standalone training. May import trainable.config, trainable.configuration.mapping_file,
trainable.console, trainable.reporting, trainable.tasks, trainable.techniques, trainable.workloads, tuner.selection,
tuner.budget.disk, tuner.budget.time_left, tuner.confirmation, tuner.export, tuner.formatting,
tuner.importance, tuner.records, tuner.report and tuner.results.
"""

"""What a person sees while a search runs: on the terminal (live, or plain lines into a pipe), and as a page in the
browser. May import trainable.config, tuner.disk, tuner.export, tuner.formatting, tuner.records, tuner.report and
tuner.results.
"""

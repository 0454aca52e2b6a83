"""Views of a running search: on the terminal (a live view, or plain lines in a pipe) and as a page in the browser. May
import trainable.config, tuner.disk, tuner.export, tuner.formatting, tuner.records, tuner.report and tuner.results.
"""

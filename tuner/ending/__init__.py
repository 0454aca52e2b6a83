"""The end of a search, a resume and a confirmation: the trainings of the confirmation, then samples, report,
page and export, and the last lines on the terminal (steps). What was deleted of them is written again (restoring). May
import trainable.console, trainable.reporting, tuner.budget.disk, tuner.budget.time_left, tuner.confirmation,
tuner.export, tuner.formatting, tuner.importance, tuner.listeners, tuner.records, tuner.report, tuner.results,
tuner.samples, tuner.selection, tuner.storage and tuner.views.
"""

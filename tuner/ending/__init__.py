"""What a search, a resume and a confirmation do at their end: the trainings of the confirmation, then samples, report,
page and export (steps), and the last lines on the terminal (summary). May import trainable.process,
trainable.reporting, tuner.confirm, tuner.export, tuner.formatting, tuner.importance, tuner.listeners, tuner.records,
tuner.report, tuner.results, tuner.samples and tuner.views.
"""

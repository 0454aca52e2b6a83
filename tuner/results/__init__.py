"""Pure functions that turn records into results for people: progress, importance, figures, the text of the report. May
import trainable.leg, trainable.techniques.best_epoch, tuner.confirm.comparison, tuner.formatting, tuner.policy and
tuner.records; neither ray nor torch.
"""

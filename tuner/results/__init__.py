"""Pure functions from the records to what people read: progress, importance, figures, the text of the report. May
import trainable.techniques.best_epoch, tuner.atomic_file, tuner.confirm.comparison, tuner.formatting, tuner.policy and
tuner.records; neither ray nor torch.
"""

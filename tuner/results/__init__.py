"""Pure functions from the records to what people read: progress, importance, figures, the text of the report. May
import tuner.records and tuner.policy; neither ray nor torch.
"""

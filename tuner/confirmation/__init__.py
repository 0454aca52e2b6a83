"""The trainings that test whether the best trials beat the default on data that the search never saw: lists them
(wanted), runs them (training), and says how long they take (remaining); and whether the export trains to the same curve
(verification). What they prove is in tuner.selection. May import trainable, tuner.baselines, tuner.budget,
tuner.export, tuner.formatting, tuner.ray, tuner.records and tuner.selection.
"""

"""The trainings that test whether the best trials beat the default on data that the search never saw: lists them
(wanted), runs them (training), and says how long they take (remaining). What they answer is in tuner.answer. May import
trainable, tuner.answer, tuner.baselines, tuner.budget, tuner.export, tuner.formatting, tuner.ray and tuner.records.
"""

"""The outputs of a standalone training, and the options that ask for them: its folder, curve and trackers, a picture, a
profile of its time. May import trainable.config, trainable.configuration, trainable.console,
trainable.data.io.counted, trainable.run and trainable.techniques.optim.
"""

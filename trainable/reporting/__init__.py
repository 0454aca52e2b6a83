"""The outputs of a standalone training, and the options that ask for them: its folder, curve and trackers, a picture, a
profile of its time. May import trainable.command_line, trainable.config, trainable.configuration,
trainable.data.io.counted, trainable.process, trainable.run and trainable.techniques.optim.
"""

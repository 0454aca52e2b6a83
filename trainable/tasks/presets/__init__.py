"""The presets of each workload by name: parameters over its default, with the numbers of its document. May import
trainable.config and trainable.configuration.run_config.
"""

"""The trainings that a search can run: a task of this project or of the user's, whose loop is ours, or a loop of the
user's own; and the exported file of a configuration, which its workload reads. May import trainable.
"""

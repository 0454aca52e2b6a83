"""What a search can train: a task of this project or of the user's, whose loop is ours, or a loop of the user's own.

May import trainable.
"""

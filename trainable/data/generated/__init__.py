"""The embedded data: drawn pictures of unlimited number with exact labels. May import trainable.command_line and
trainable.data.
"""

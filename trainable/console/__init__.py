"""Shared by all commands of both packages: standard streams that may be closed or full (command_line), results
for scripts (json_output), garbage collection around imports and loggers (process), text that is safe to print
(visible_text). May import nothing of ours.
"""

"""Folders of object stores and of other filesystems, by their URI: checkpoints and data of a search on machines that
share no disk. Knows no torch and no Ray; pyarrow is imported when a URI is opened.
"""

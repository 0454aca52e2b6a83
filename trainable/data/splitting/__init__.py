"""Which image goes to which split: what folders and lists name (split_names, split_lists), groups that tables state
(group_tables; picture_tables finds these tables), copies by their names and by their looks (copies, lookalikes),
pictures that wait until it is known (decoded_pictures), and the division of those that nobody names (division), by the
rules of trainable.data.io.splits. May import trainable.data.io.
"""

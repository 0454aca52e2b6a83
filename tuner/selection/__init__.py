"""Which trial of a search is exported, and the evidence for it, as values: within the search, on its one seed
(in_search); over several seeds, on both splits (comparison, with the intervals of sequential); both together
(selected_trial). May import trainable.techniques.best_epoch, tuner.formatting and tuner.records; neither ray nor torch.
"""

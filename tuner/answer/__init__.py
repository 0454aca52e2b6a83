"""The answer of a search, which trial is handed over, and the evidence for it, as values: within the search, on its one
seed (in_search); over several seeds, on both splits (comparison, with the intervals of sequential); both as the one
answer (handed_over). May import trainable.techniques.best_epoch, tuner.formatting and tuner.records; neither ray nor
torch.
"""

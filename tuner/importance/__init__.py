"""Which parameters separate good trials from poor ones, beyond chance, and a surface through their values. May import
tuner.records; neither ray nor torch.
"""

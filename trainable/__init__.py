"""Trains one configuration; knows neither tuner nor search_spaces. The documented public names are loaded on first use,
so that importing this is cheap.
"""

import importlib

_HOMES = {
    "LoopTrial": "trainable.loop.loop_trial",
    "OptimizedTrainer": "trainable.optimized_trainer",
    "CosineAnnealingWithWarmup": "trainable.techniques.optim.schedule",
    "ExpertCollapseDetector": "trainable.techniques.experts.expert_collapse",
    "GlobalBatchLoadBalancer": "trainable.techniques.experts.load_balance",
    "EMA": "trainable.techniques.optim.averaging",
    "CODProgressiveAugmentation": "trainable.techniques.augment.progressive_augmentation",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'trainable' has no attribute {name!r}; public names: {', '.join(_HOMES)}")
    return getattr(importlib.import_module(_HOMES[name]), name)

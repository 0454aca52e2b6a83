"""Trains one configuration; knows neither tuner nor search_spaces.

    train, predict, preset, diagnose       the commands; console/ is what they share
    config                                 the one conversion from parameters to a typed configuration
    run_setup, run                         opens the data and begins a run; the interface of one
    training_run                           a run of a task: epochs, checkpoints, endings, the test
    build_trainer, trainer                 from a configuration to the loop; the loop
    optimized_trainer                      the loop around a model of the user's own
    leg                                    what a search and a training process exchange
    saved_state                            the state of an object that has a few plain values to save
    plain_state                            what a checkpoint can hold

The documented public names are loaded on first use, so that importing this is cheap.
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

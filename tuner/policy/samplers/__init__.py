"""Who proposes the next configuration: `--sampler`.

    sampler                            the interface of every sampler; `random`
    forecast, prediction, surrogate    `forecast`: trials at their rungs, as points and values; the Gaussian process
    tpe                                `tpe`: Optuna's, on the trials that have ended or wait
    optuna_sampler                     `gp`, `cmaes` and any other sampler of Optuna's interface

Each gets the same reports, whichever scheduler decides. May import search_spaces.questions,
search_spaces.stub_trials, tuner.policy.candidates, tuner.policy.halving, tuner.policy.outcomes,
tuner.policy.promotion_rungs and tuner.policy.proposals; numpy, scipy, optuna.
"""

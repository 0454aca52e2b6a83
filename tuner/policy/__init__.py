"""The decisions of a search: which configuration to try next, and which trial to continue.

    actions, decision, outcomes, halving       what every policy takes and returns
    promoting, promotion_rungs                 `--scheduler asha`: a trial waits at each rung, the best are promoted
    stopping, stopping_rungs                   `--scheduler asha-stopping`; `none` is either of them without rungs
    proposals, candidates                      configurations: each once, drawn from a space
    samplers/                                  `--sampler`: who proposes them
    simulation                                 a search in virtual time, for benchmarks and dry runs

Uses no Ray, clock or file: the same calls give the same decisions, so a resumed search replays its records into a new
policy. May import search_spaces.stub_trials and tuner.formatting, and numpy, scipy and optuna.
"""

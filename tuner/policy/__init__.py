"""The decisions of a search: which configuration to try next, and which trial to continue.

    policy, decision, outcomes, halving        what every policy takes and returns
    proposals, candidates                      configurations: each once, drawn from a space
    promotion_rungs                            the values of the trials at their rungs, and which of them wait there
    samplers/                                  `--sampler`: who proposes configurations; takes the above
    schedulers/                                `--scheduler`: who continues; takes a sampler, and is the policy
    simulation                                 a search in virtual time, for benchmarks and dry runs

Uses no Ray, clock or file: the same calls give the same decisions, so a resumed search replays its records into a new
policy. May import search_spaces.questions, search_spaces.stub_trials and tuner.formatting, and numpy, scipy and optuna.
"""

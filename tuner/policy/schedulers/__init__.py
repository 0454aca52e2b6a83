"""Which trial continues: `--scheduler`. Each is a whole policy, and has a sampler propose its configurations.

    promoting                  `asha`: a trial waits at each rung, the best are promoted
    stopping, stopping_rungs   `asha-stopping`: a rung stops the poor ones; `none` is either policy without rungs

May import tuner.policy.
"""

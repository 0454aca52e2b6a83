"""A sampler of the user's own: `module:NAME` or `file.py:NAME`, a class of Optuna's interface."""

import inspect
from collections.abc import Callable

from optuna.samplers import BaseSampler

from trainable.configuration.reference import load


def user_sampler(reference: str) -> Callable[[int], BaseSampler]:
    """Makes a new sampler from a seed.

    Args:
        reference: `module:NAME`, whose folder is on `sys.path`: a class, or a function that returns a sampler. It is
            called with `seed=` if it has such a parameter, else with nothing.

    Raises:
        ValueError: there is no such object, or it makes no sampler.
    """
    found = load(reference)
    if isinstance(found, BaseSampler) or not callable(found):
        raise ValueError(
            f"{reference} is of type {type(found).__name__}; it must be a class of optuna.samplers.BaseSampler, or a "
            "function that returns one: each proposal gets a new sampler."
        )
    takes_seed = "seed" in inspect.signature(found).parameters

    def make(seed: int) -> BaseSampler:
        try:
            made = found(seed=seed) if takes_seed else found()
        except (Exception, SystemExit) as error:
            raise ValueError(
                f"{reference} makes no sampler: {type(error).__name__}: {error}. It is called with seed= alone, if it "
                "takes that; give a function that returns the sampler with its other arguments: file.py:NAME."
            ) from error
        if not isinstance(made, BaseSampler):
            raise ValueError(f"{reference} returns a {type(made).__name__}; it must be an optuna.samplers.BaseSampler.")
        return made

    # Of Optuna's own samplers; a trial ends in another study than it was proposed in.
    if getattr(make(0), "_constraints_func", None) is not None:
        raise ValueError(
            f"{reference} has a constraints_func, which no trial's end calls: leave it out, or use --limit."
        )
    return make

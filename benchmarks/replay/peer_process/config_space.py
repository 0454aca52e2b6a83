"""The peer's side: a space for libraries that take ConfigSpace's, which are SMAC and DEHB."""

from collections.abc import Mapping
from typing import Any

from ConfigSpace import ConfigurationSpace, InCondition
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Hyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from benchmarks.replay.peer_process.interface import Parameter, PeerSetting


def configuration_space(setting: PeerSetting) -> ConfigurationSpace:
    space = ConfigurationSpace(seed=setting.seed)
    parameters = {one["name"]: _hyperparameter(one) for one in setting.space}
    space.add(list(parameters.values()))
    for one in setting.space:
        condition = one["condition"]
        if condition is not None:
            space.add(InCondition(parameters[one["name"]], parameters[condition["on"]], condition["choices"]))
    return space


def plain(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a configuration by name, as plain Python types instead of numpy's."""
    return {name: getattr(value, "item", lambda value=value: value)() for name, value in configuration.items()}


def _hyperparameter(one: Parameter) -> Hyperparameter:
    if one["type"] == "choice":
        return CategoricalHyperparameter(one["name"], list(range(int(one["high"]) + 1)))
    kind = UniformIntegerHyperparameter if one["type"] == "int" else UniformFloatHyperparameter
    return kind(one["name"], lower=one["low"], upper=one["high"], log=one["log"])

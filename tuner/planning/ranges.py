"""Makes of the user's ranges what a space asks for: typed by the field of the configuration, with its scale.

A range of numbers is logarithmic where the space's own range is. Where the space has none it is if its ends are above 0
and a factor of ten or more apart. A file may say `log` for itself.
"""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from search_spaces.ranges import Number, OneOf, Range, SearchedRange, as_answer
from search_spaces.stub_trials import Choices, Distribution, FloatRange, IntRange
from trainable.config import NETWORK_PARAM, Parameter, parameters_of, unknown_parameter
from trainable.configuration.fields import MOST, convert
from trainable.configuration.run_config import RunConfig
from tuner.planning.given import FREE_TEXT

LOG_RATIO = 10
"""Ends that are this factor apart, or more, make a range logarithmic."""


def searched_ranges(
    given: Mapping[str, Range | OneOf], base: RunConfig, asked: Mapping[str, Distribution]
) -> dict[str, SearchedRange]:
    """Returns the searched ranges by name.

    Args:
        base: the configuration that the parameters of a trial override.
        asked: what the space asks for by itself, with its own ranges.

    Raises:
        ValueError: a name is unknown, or what is given does not fit the type of its field.
    """
    parameters = parameters_of(base)
    for name in given:
        if name not in parameters and name not in asked:
            raise ValueError(unknown_parameter(name, {*parameters, *asked}))
    return {name: _searched(name, one, base, parameters.get(name), asked.get(name)) for name, one in given.items()}


def _searched(
    name: str, one: Range | OneOf, base: RunConfig, parameter: Parameter | None, own: Distribution | None
) -> SearchedRange:
    section = None if parameter is None else parameter.section
    if section == "data" or name in FREE_TEXT:
        why = "the data is prepared once, for all trials" if section == "data" else "all trials start alike"
        raise ValueError(f"--set {name}={one} can't be searched: {why}; give one value.")
    holder: Any = base if section is None else getattr(base, section)
    is_argument = name.startswith(NETWORK_PARAM)
    value = (
        holder.network_value(name.removeprefix(NETWORK_PARAM))
        if is_argument and holder
        else getattr(holder, name, None)
    )
    place: dict[str, Any] = {
        "section": section,
        "is_section_on": holder is not None,
        "own_value": as_answer(value is not None if parameter is not None and parameter.is_switch else value),
    }
    hint = _hint_of(own) if parameter is None else parameter.hint
    if isinstance(one, OneOf):
        values = [convert(value, hint, name) for value in one.values]
        return SearchedRange(choices=tuple(map(as_answer, values)), **place)
    low, high = _ends(name, one, hint)
    if one.log is not None:
        is_log = one.log
    else:
        is_log = own.log if isinstance(own, FloatRange | IntRange) else low > 0 and high >= LOG_RATIO * low
    if is_log and low <= 0:
        raise ValueError(f"--set {name}={one}: {name} is searched by its logarithm; begin above 0.")
    return SearchedRange(low=low, high=high, log=is_log, **place)


def _hint_of(own: Distribution | None) -> object:
    """Type of a parameter that the space asks for and the configuration lacks."""
    if isinstance(own, Choices):
        kinds = {type(value) for value in own.values}
        return Union[tuple(kinds)]  # noqa: UP007
    return int if isinstance(own, IntRange) else float


def _ends(name: str, one: Range, hint: object) -> tuple[Number, Number]:
    """Converts the ends to int or float, as the field declares."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if float in options:
        return float(one.low), float(one.high)
    if int not in options:
        kinds = "names" if str in options or any(get_origin(option) is Literal for option in options) else "values"
        raise ValueError(f"--set {name}={one} is a range, but {name} is not a number; give {kinds}, comma-separated.")
    if one.low != int(one.low) or one.high != int(one.high):
        raise ValueError(f"--set {name}={one}: {name} is a whole number; give whole numbers.")
    if max(abs(one.low), abs(one.high)) > MOST:
        raise ValueError(f"--set {name}={one}: {name} is a whole number of at most {MOST}.")
    return int(one.low), int(one.high)

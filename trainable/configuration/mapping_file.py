"""Reads a JSON or YAML file that holds names and values."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


class _YamlLoader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does; PyYAML follows 1.1, where it is text."""


_YamlLoader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789"))


def read_mapping(path: Path, *, wanted: str) -> Mapping[str, Any]:
    """The names and values of a JSON file, or of a YAML file by its ending.

    Args:
        wanted: what the file should hold, for the error.

    Raises:
        ValueError: no such file, or its content is neither.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not a file; give {wanted}.")
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _YamlLoader) if is_yaml else json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        kind = "YAML" if is_yaml else "JSON"
        raise ValueError(f"{path} is not {kind} ({error}); give {wanted}.") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}; it must hold names and values.")
    return content

"""Reads a JSON or YAML file that holds names and values."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


class _TwiceError(ValueError):
    """A name has two values, of which a parser would silently drop the first."""


class _YamlLoader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as in YAML 1.2; in 1.1, which PyYAML follows, it is text. Refuses repeated names."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _unique([(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses an alias inside its own anchor, which would never end."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias, *; write the value again")
        return super().compose_node(parent, index)


_YamlLoader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(f"{name} is given twice; leave one of them out")
        found[name] = value
    return found


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
        content = yaml.load(text, _YamlLoader) if is_yaml else json.loads(text, object_pairs_hook=_unique)
    except _TwiceError as error:
        raise ValueError(f"{path}: {error}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        kind = "YAML" if is_yaml else "JSON"
        raise ValueError(f"{path} is not {kind} ({error}); give {wanted}.") from error
    if not isinstance(content, Mapping):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise ValueError(f"{path} holds {found}; it must hold names and values.")
    return content

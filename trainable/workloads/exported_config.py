"""The exported configuration file: complete, typed, with what is needed to reproduce the curve."""

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trainable.config import to_dict
from trainable.configuration.fields import built, convert
from trainable.configuration.mapping_file import read_mapping
from trainable.configuration.reference import Reference, activate
from trainable.configuration.run_config import RunConfig
from trainable.workloads.registry import read_config

FORMAT = 1
WANTED = "the config.json that python -m tuner.export wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedConfig:
    """A configuration and the conditions of its training."""

    config: RunConfig
    data_fingerprint: dict[str, str]
    """sha256 of each split, to check that a later run has the same data."""
    num_threads: int = 1
    """Number of CPU threads of the training; sums depend on it in the last bit."""
    found_by: dict[str, object] = field(default_factory=dict)
    """The search, trial and objective that it comes from; for people."""
    versions: dict[str, str] = field(default_factory=lambda: current_versions())
    references: tuple[Reference, ...] | None = None
    """Objects of a user's own that the configuration names."""

    def __post_init__(self) -> None:
        if self.num_threads < 1:
            raise ValueError(f"num_threads is {self.num_threads}; it must be 1 or more.")


def current_versions() -> dict[str, str]:
    """Versions of the packages that a curve depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("torch", "torchvision", "numpy")}


def write_exported_config(path: Path, exported: ExportedConfig) -> None:
    """Writes the file as JSON, indented for people."""
    content = {
        "format": FORMAT,
        "found_by": exported.found_by,
        "versions": exported.versions,
        "num_threads": exported.num_threads,
        "data_fingerprint": exported.data_fingerprint,
        "references": [asdict(reference) for reference in exported.references or ()],
        "config": to_dict(exported.config),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_exported_config(path: Path) -> ExportedConfig:
    """Reads what :func:`write_exported_config` wrote, as JSON or rewritten as YAML.

    Raises:
        ValueError: no such file, not JSON, another format, an unknown or missing field, or a value out of range.
    """
    content = read_mapping(path, wanted=WANTED)
    found = content.get("format")
    if found is None:
        raise ValueError(f"{path} has no format, so a person wrote it; give {WANTED}, or that of a training.")
    if found != FORMAT:
        raise ValueError(
            f"{path} has configuration format {found}; this version reads format {FORMAT}: use the version that wrote "
            "it, or export the search again."
        )
    missing = {"config", "data_fingerprint", "num_threads", "versions", "found_by"} - set(content)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}; export it again with python -m tuner.export.")
    circumstances = {name: value for name, value in content.items() if name not in ("format", "config")}
    circumstances["references"] = content.get("references") or None
    try:
        references: Any = convert(content.get("references", []), tuple[Reference, ...], "references")
        activate(references)
        return built(ExportedConfig, circumstances | {"config": read_config(content["config"])}, "the file")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error

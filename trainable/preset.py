"""Writes a strategy of a workload as a configuration file, for training without a search.

    python -m trainable.preset dishes balanced runs/balanced/config.json --data path/to/dishes
    python -m trainable.train --config runs/balanced/config.json

"default" is every workload's; others are the task's own: `python -m trainable.preset` lists them.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from trainable.exported_config import ExportedConfig, write_exported_config
from trainable.fields import unknown_name
from trainable.run_setup import open_data
from trainable.tasks.preset import Preset
from trainable.tasks.registry import TASKS, get_task

DEFAULT = "default"

logger = logging.getLogger("trainable.preset")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        logger.info("%s", "\n".join(_listed()))
        return 0
    options = _parser().parse_args(arguments)
    try:
        exported = preset_config(options.workload, options.preset, options.data)
        write_exported_config(options.out, exported)
    except (ValueError, OSError) as error:
        logger.error("error: %s", error)
        return 2
    logger.info("%s\npython -m trainable.train --config %s trains it", options.out, options.out)
    return 0


def preset_config(workload: str, preset: str, source: str | None = None) -> ExportedConfig:
    """A preset's configuration, complete with what only the data can tell; embedded data unless `source` is given.

    Raises:
        ValueError: no such workload or preset, or data that cannot be used.
    """
    task = get_task(workload)
    presets = {DEFAULT: Preset(params={}), **task.presets}
    if preset not in presets:
        raise ValueError(unknown_name(f"preset of {workload}", preset, presets))
    absolute = None if source is None else str(Path(source).absolute())
    config = presets[preset].over(task.default_config(absolute), has_folder=source is not None)
    splits = open_data(config, {})
    return ExportedConfig(
        config=task.adapt_to_data(config, splits),
        data_fingerprint=splits.fingerprint,
        found_by={"preset": f"{workload}/{preset}"},
    )


def _listed() -> list[str]:
    return [f"{name}: {', '.join([DEFAULT, *get_task(name).presets])}" for name in TASKS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainable.preset", description="Write a preset of a workload as a configuration file."
    )
    parser.add_argument("workload", help=f"one of {', '.join(TASKS)}")
    parser.add_argument("preset", help="; ".join(_listed()))
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--data", metavar="DIR", help="folder of the workload's data (default: embedded)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Writes a preset of a workload as a configuration file, for training without a search.

    python -m trainable.preset dishes balanced runs/balanced/config.json --data path/to/dishes --set dropout=0.2
    python -m trainable.train --config runs/balanced/config.json

"default" is every workload's; others are the task's own: `python -m trainable.preset` lists them.

A person may also write the file: `workload`, perhaps `preset` and `data`, and the parameters that differ.
"""

import argparse
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trainable.configuration.config_options import add_config_options, params_of, with_params
from trainable.configuration.fields import unknown_name
from trainable.configuration.mapping_file import read_mapping
from trainable.configuration.reference import find, is_reference, references_of
from trainable.console.command_line import run_main
from trainable.console.json_output import write_json
from trainable.console.process import log_to
from trainable.loop.loop_config import LoopConfig
from trainable.remote.local_source import absolute_source
from trainable.run_setup import open_data
from trainable.tasks.registry import TASKS, get_task, installed_tasks
from trainable.workloads.exported_config import (
    WANTED,
    ExportedConfig,
    read_exported_config,
    write_exported_config,
)
from trainable.workloads.registry import get_workload, task_of
from trainable.workloads.workload import DEFAULT

PROG = "python -m trainable.preset"

logger = logging.getLogger("trainable.preset")


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Runs the command and returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments:
        sys.stdout.write("\n".join(_listed()) + "\n")
        return 0
    options = build_parser(prog).parse_args(arguments)
    log_to(sys.stderr if options.json else sys.stdout)
    try:
        exported = preset_config(options.workload, options.preset, options.data, params_of(options))
        if options.plot is not None and isinstance(exported.config, LoopConfig):
            raise ValueError(
                f"--plot draws the schedule of a loop of this project, and {exported.config.workload} is your own; "
                "leave it out."
            )
        write_exported_config(options.out, exported)
        if options.plot is not None:
            # matplotlib takes a second to import, so only who asks for a picture does.
            from trainable.reporting.schedule_picture import draw_schedule

            draw_schedule(options.plot, task_of(exported.config)[1])
    except (ValueError, OSError) as error:
        logger.error("error: %s", error)
        return 2
    if options.json:
        write_json({"config": str(options.out)})
    else:
        logger.info("%s\npython -m trainable.train --config %s trains it", options.out, shlex.quote(str(options.out)))
    return 0


def read_training_config(path: Path, *, source: str | None = None) -> ExportedConfig:
    """An exported configuration, or one that a person wrote: `workload`, perhaps `preset` and `data`, and parameters.

    Args:
        source: other data than the file's.

    Raises:
        ValueError: no such file, an unknown or missing name, a value out of range, or data that cannot be used.
    """
    content = read_mapping(path, wanted=WANTED)
    if "format" in content:
        exported = read_exported_config(path)
        if source is None:
            return exported
        # Another folder, whose fingerprint is not known yet.
        config = replace(exported.config, data=replace(exported.config.data, source=source))
        return replace(exported, config=config, data_fingerprint={})
    if "workload" not in content:
        raise ValueError(
            f"{path} names no workload; add one of {', '.join(TASKS)}, or give the config.json of an export."
        )
    for name in ("workload", "preset", "data"):
        if not isinstance(content.get(name, ""), str):
            raise ValueError(f"{path}: {name} is {content[name]!r}; it must be text.")
    params = {name: value for name, value in content.items() if name not in ("workload", "preset", "data")}
    source = source or content.get("data")
    return preset_config(str(content["workload"]), str(content.get("preset", DEFAULT)), source, params)


def preset_config(
    workload: str, preset: str, source: str | None = None, params: Mapping[str, object] | None = None
) -> ExportedConfig:
    """A preset's complete configuration, adapted to the data; embedded data unless `source` is given.

    Args:
        preset: a name, or several joined by "+", the later ones on top.
        params: change the preset; see `with_params`.

    Raises:
        ValueError: no such workload, preset or parameter, or data that cannot be used.
    """
    references = (find(workload),) if is_reference(workload) else ()
    workload = references[0].text if references else workload
    trained = get_workload(workload)
    config = trained.default_config(None if source is None else absolute_source(source))
    for name in preset.split("+"):
        if name not in trained.presets:
            raise ValueError(unknown_name(f"preset of {workload}", name, trained.presets))
        config = trained.presets[name].over(config, has_folder=source is not None)
    config = with_params(config, params or {})
    data = open_data(config, {})
    return ExportedConfig(
        config=trained.adapt_to_data(config, data),
        data_fingerprint=data.fingerprint,
        found_by={"preset": f"{workload}/{preset}"},
        references=(*references, *references_of(getattr(config, "model", None))) or None,
    )


def _listed() -> list[str]:
    return [f"{name}: {', '.join([DEFAULT, *get_task(name).presets])}" for name in (*TASKS, *installed_tasks())]


def build_parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Write a preset of a workload as a configuration file.")
    parser.add_argument("workload", help=f"one of {', '.join(TASKS)}, or one of your own, file.py:NAME or module:NAME")
    parser.add_argument("preset", help=f"one, or several joined by + on top of each other: {'; '.join(_listed())}")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--data", metavar="DIR", help="folder of the workload's data (default: embedded)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="also draw learning rate and augmentation against epochs"
    )
    parser.add_argument("--json", action="store_true", help="print the path as JSON")
    add_config_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))

"""Writes dirty variants of a folder of clean pictures, to be looked at or mixed with one's own.

    python -m trainable.data.soil_folder CLEAN_DIR OUT_DIR --variations 2

plate_01.jpg becomes plate_01_dirty_medium_00.jpg: the name holds its parent's, by which `dishes` keeps the two in one
split. A search needs none of this: it draws its own variants, of training images alone.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from trainable.console.command_line import error_line, run_main
from trainable.data.classes.dirty_variants import DirtyVariantsConfig, draw_variant
from trainable.data.drawing.dirt import SEVERITIES
from trainable.data.io.counted import counted
from trainable.data.io.decoding import read_upright
from trainable.data.io.findings import BadFileError
from trainable.data.io.folder_layout import COMMON_ENDINGS, is_hidden, is_image, require_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        shares = dict(zip(("light_share", "medium_share", "heavy_share"), options.shares, strict=True))
        config = DirtyVariantsConfig(variations_per_image=options.variations, **shares)
        counts = soil_folder(options.clean, options.out, config)
    except (ValueError, OSError) as error:
        sys.stderr.write(error_line(error))
        return 2
    listed = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES)
    sys.stdout.write(f"{counted(counts.total(), 'variant')} in {options.out}: {listed}\n")
    return 0


def soil_folder(clean: Path, out: Path, config: DirtyVariantsConfig) -> Counter[str]:
    """Writes the variants at full resolution and returns how many of each severity.

    Raises:
        ValueError: the folder holds no picture, or one that cannot be read.
    """
    require_folder(clean, "clean pictures")
    files = [file for file in sorted(clean.iterdir()) if is_image(file) and not is_hidden(file.name)]
    if not files:
        raise ValueError(f"{clean} holds no picture; give a folder with {COMMON_ENDINGS} in it.")
    out.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    for file in files:
        try:
            pixels = np.asarray(read_upright(file).convert("RGB"))
        except BadFileError as error:
            raise ValueError(f"{file} {error.problem}. {error.action}") from error
        for variation in range(config.variations_per_image):
            name, severity, variant = draw_variant(file.name, pixels, variation, config.shares)
            Image.fromarray(variant).save(out / f"{name}.jpg", quality=95)
            counts[severity] += 1
    return counts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainable.data.soil_folder", description="Write dirty variants of clean pictures."
    )
    parser.add_argument("clean", type=Path, help="folder of clean pictures")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--variations", type=int, default=2, metavar="N", help="of each picture (default: 2)")
    parser.add_argument(
        "--shares",
        type=float,
        nargs=3,
        default=DirtyVariantsConfig().shares,
        metavar=("LIGHT", "MEDIUM", "HEAVY"),
        help="of each kind of dirt, sum 1 (default: 0.3 0.5 0.2)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_main(main))

"""Draws the embedded scenes, easy to hard: `python -m trainable.data.generated.scene_picture OUT.png [--seed N]`."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from trainable.console.command_line import run_main
from trainable.data.generated.camouflage_scenes import SceneConfig, fresh_scenes

_TEXTURE_GAPS = {"easy": 1.2, "default": SceneConfig().texture_gap, "hard": 0.5, "very hard": 0.3}
_INK = "#22272e"
_EDGES = {"left": 0.025, "right": 0.975, "bottom": 0.01, "top": 0.93, "wspace": 0.03, "hspace": 0.14}


def draw_picture(path: Path, *, seed: int) -> None:
    """One row per domain; each scene four times, ever harder, first as it is and then with its object outlined."""
    config = SceneConfig()
    figure = Figure(figsize=(12.8, 7.5), dpi=125, facecolor="white")
    blocks = figure.subfigures(1, len(_TEXTURE_GAPS), squeeze=False)[0]
    for block, (label, texture_gap) in zip(blocks, _TEXTURE_GAPS.items(), strict=True):
        block.text(0.5, 0.965, f"{label}: texture gap {texture_gap:g}", ha="center", fontsize=12, color=_INK)
        scenes = fresh_scenes(replace(config, texture_gap=texture_gap), seed, config.num_domains)
        for domain, pair in enumerate(block.subplots(config.num_domains, 2, gridspec_kw=_EDGES)):
            rule = "finer" if domain % 2 == 0 else "coarser"
            pair[0].set_title(f"domain {domain}: the {rule} blob", loc="left", fontsize=9, color=_INK, pad=3)
            for axes in pair:
                axes.imshow(scenes.images[domain], interpolation="nearest")
                axes.set_axis_off()
            pair[1].contour(scenes.masks[domain], [0.5], colors="black", linewidths=3.2)
            pair[1].contour(scenes.masks[domain], [0.5], colors="white", linewidths=1.6)
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--seed", type=int, default=0, help="which scenes to show, 0 or more (default %(default)s)")
    options = parser.parse_args()
    draw_picture(options.out, seed=options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))

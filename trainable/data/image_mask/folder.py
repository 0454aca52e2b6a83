"""A folder of images and masks, checked, split and cached, as the sets that a task trains on.

Pairs are found and hashed; unless this content is in the cache already, every file is checked, put into a split,
decoded and resized. A second search on the same files decodes nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from trainable.data.image_mask.folder_build import build_folder
from trainable.data.image_mask.folder_source import FolderOptions, FolderSource, Outlined, no_outlines
from trainable.data.image_mask.image_mask_set import open_splits
from trainable.data.io.findings import read_findings
from trainable.data.io.image_cache import cached_folder, default_cache_dir
from trainable.data.io.splits import Splits


def open_image_masks(
    root: Path,
    options: FolderOptions,
    *,
    cache_dir: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    outlined: Outlined = no_outlines,
) -> Splits:
    """The folder as `ImageMaskSet`s, through the cache, with warnings and notes.

    `on_progress(done, total)` is called while something is decoded. Where there are no pictures of masks, the
    pairs are those of `outlined`.

    Raises:
        DataError: with a table of everything that must be put right first.
        CacheError: the cache folder is full or cannot be written.
    """
    cache_dir = cache_dir or default_cache_dir()
    source = FolderSource.find(root, options, cache_dir, outlined=outlined)
    folder = cached_folder(source.key(), cache_dir, partial(build_folder, source, on_progress))
    return replace(open_splits(folder), findings=read_findings(folder))

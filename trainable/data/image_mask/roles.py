"""Which folders hold images and which their masks, and which of two files is the mask, by the names that people use."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainable.data.io.folder_layout import is_image, plain_name

_IMAGE_WORDS = {"img", "imgs", "image", "images", "input", "inputs", "jpegimages", "leftimg8bit"}
_PHOTOGRAPH_WORDS = {"original", "originals", "photo", "photos", "photographs", "picture", "pictures", "rgb"}
"""Names that images have as well, where no folder beside them says so more clearly."""
_MASK_WORDS = {
    *("gt", "gts", "mask", "masks", "label", "labels", "groundtruth", "groundtruths", "annotation", "annotations"),
    *("annot", "annots", "segmentation", "segmentations", "segmentationclass", "manual", "gtfine", "gtcoarse"),
}
_TARGET_WORDS = {"ann", "anns", "lab", "labs", "target", "targets"}
"""Names that masks have as well, where neither another word nor a folder beside them says more clearly what they are:
`target_images` beside `target_masks` are of a target domain.
"""
_OF_MASKS = {"object", "inverted", "binary", "png", "st"}
"""Words beside these that say nothing of whose masks they are: `GT_Object`, `1st_manual`; `GT_Edge` is none."""
_WHOLE = re.compile(
    r"(?i)jpeg[-_ ]?images|segmentation[-_ ]?(class|object)|ground[-_ ]?truths?|left[-_ ]?img[-_ ]?8bit"
    r"|gt[-_ ]?(fine|coarse)"
)
_JOINED = re.compile(r"(?i)(?<=[a-z])(annot|masks?|labels?|gt|images?|imgs?)$")
_WORD = re.compile(r"leftimg8bit|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OBSERVER_WORD = "ho|manual|observer|expert|rater|annotator"
OBSERVER = re.compile(
    rf"(?i)(?:(?P<of>.+)[-_. ])?(?:(?P<first>[0-9])(?:st|nd|rd|th)[-_ ]?(?:{_OBSERVER_WORD})"
    rf"|(?:{_OBSERVER_WORD})[-_ ]?(?P<last>[0-9]))"
)
"""Name of the marks of one of several numbered people: `a_1stHO`, `a_manual2`, the folder `1st_manual`."""
_MASK_MARK = (
    "masks?|gt|ground_?truth|segmentation|seg|labels?|lbl|annotations?|ann(?:ot)?|target|manual"
    "|(?:gt(?:fine|coarse)_)?label(?:train)?ids|l"
    rf"|[0-9](?:st|nd|rd|th)[-_ ]?(?:{_OBSERVER_WORD})|(?:{_OBSERVER_WORD})[-_ ]?[0-9]"
)
_MASK_NAME = re.compile(rf"(?i)(?P<bare>.+?)[-_. ]({_MASK_MARK})|(masks?|gt|label|seg)[-_. ](?P<rest>.+)")
_FURTHER_MASK = re.compile(rf"(?i)(?P<first>.+[-_. ]({_MASK_MARK}))[-_. ][0-9]{{1,2}}")
_IMAGE_NAME = re.compile(r"(?i)(?P<bare>.+)[-_. ](image|img|rgb|sat|input|leftimg8bit|photo|training|test)")
_FIRST_CHANNEL = "_0000"
"""Behind the name of an image of nnU-Net, whose further channels are `_0001`; its mask has none."""
_IN_FRONT = re.compile(r"(?i)(image|img|photo)[-_. ](?P<rest>.+)")
_MASK_ENDINGS = (".png", ".gif", ".bmp", ".pbm", ".pgm", ".tif", ".tiff")
"""Without loss: of `a.jpg` beside `a.png` the second is the mask."""


@dataclass(frozen=True, slots=True)
class Role:
    """The contents of a folder, by its name."""

    holds: str | None
    """"images", "masks", "targets" (masks, unless a folder of "masks" is beside it), or None: the name does not say."""
    whose: tuple[str, ...]
    """The other words of the name, which a folder of images shares with that of its masks: `DUTS-TR-Image`."""


def role_of(folder: Path) -> Role:
    joined = _WHOLE.sub(lambda match: re.sub("[-_ ]", "", match[0]).lower() + " ", plain_name(folder.name))
    words = [word.lower() for word in _WORD.findall(_JOINED.sub(r" \1", joined))]
    for holds, known in (("masks", _MASK_WORDS), ("images", _IMAGE_WORDS), ("targets", _TARGET_WORDS)):
        if known.intersection(words):
            ignored = known if holds == "images" else known | _OF_MASKS
            return Role(holds, tuple(word for word in words if word not in ignored))
    return Role(None, tuple(word for word in words if word not in _PHOTOGRAPH_WORDS))


def bare_mask_name(stem: str) -> str:
    """`a` of `a_mask`, `mask_a` or `a.jpg`, nothing of `mask` alone; other names are kept. Without case."""
    match = _MASK_NAME.fullmatch(stem)
    bare = Path((match["bare"] or match["rest"] if match else stem).casefold())
    return "" if bare.name in _MASK_WORDS | _TARGET_WORDS else bare.stem if is_image(bare) else bare.name


def further_masks(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """The numbered masks `a_mask_1` and `a_mask_2` of each `a_mask` beside them: further parts of the same object."""
    known, further = set(files), dict[Path, list[Path]]()
    for file in files:
        if (name := _FURTHER_MASK.fullmatch(file.stem)) and (first := file.with_stem(name["first"])) in known:
            further.setdefault(first, []).append(file)
    return further


def bare_image_name(stem: str) -> str:
    """`a` of `a_sat` or `a_rgb`, nothing of `image` alone; other names are kept. Without case."""
    match = _IMAGE_NAME.fullmatch(stem)
    bare = (match["bare"] if match else stem).casefold()
    return "" if bare in _IMAGE_WORDS else bare


def barest_image_name(stem: str) -> str:
    """The same, and `a` of `img_a`, as cameras begin names that their masks then share, and of nnU-Net's `a_0000`."""
    bare = bare_image_name(stem).removesuffix(_FIRST_CHANNEL)
    match = _IN_FRONT.fullmatch(bare)
    return match["rest"] if match else bare


def images_and_masks(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files of one folder, told apart by marks such as `_mask`, else by ending; no masks when none has an image."""
    stems = {file.stem for file in files}
    bare = {name(stem) for stem in stems for name in (bare_image_name, barest_image_name)}
    marked = [file for file in files if bare_mask_name(file.stem) != file.stem.casefold()]
    masks = [file for file in marked if bare_mask_name(file.stem) in bare]
    masks += [mask for first, further in further_masks(files).items() if first in masks for mask in further]
    if not masks:
        photographs = {file.stem for file in files if file.suffix.lower() not in _MASK_ENDINGS}
        masks = [file for file in files if file.suffix.lower() in _MASK_ENDINGS and file.stem in photographs]
    taken = set(masks)
    return [file for file in files if file not in taken], masks

"""Pascal VOC xml: one picture a file, its objects as boxes."""

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from trainable.data.crowns.formats.reading import AnnotationFile, OtherFileError
from trainable.data.crowns.formats.shapes import CrownError, CrownShape, boxed, label_text, stated_size

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: Path) -> AnnotationFile:
    """The picture is the one that `filename` names, else the one of the file's own name.

    Raises:
        OtherFileError: its root is not `annotation`.
        ElementTree.ParseError: it is no xml.
    """
    root = ElementTree.parse(path).getroot()
    if root.tag != "annotation":
        raise OtherFileError(f"is xml of <{root.tag}>")
    found = AnnotationFile()
    name = (root.findtext("filename") or "").strip() or path.stem
    found.picture(name, stated_size(root.findtext("size/height"), root.findtext("size/width")))
    for index, crown in enumerate(root.iter("object"), start=1):
        place = f"object {index}"
        found.add(name, place, partial(_shape, crown, place))
    found.drop_repeated()
    return found


def _shape(crown: ElementTree.Element, place: str) -> CrownShape:
    box = crown.find("bndbox")
    if box is None:
        raise CrownError("have no bndbox", f"it has {', '.join(child.tag for child in crown) or 'nothing'}")
    return boxed(label_text(crown.findtext("name")), [box.findtext(side) for side in _SIDES], place=place)

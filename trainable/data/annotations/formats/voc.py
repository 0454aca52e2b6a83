"""Pascal VOC xml: one picture a file, its objects as boxes."""

from functools import partial
from xml.etree.ElementTree import Element

from trainable.data.annotations.objects.annotation_file import AnnotationFile, OtherFileError
from trainable.data.annotations.objects.shapes import CrownError, CrownShape, crown_from_box, label_text, stated_size

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(root: Element, own_name: str) -> AnnotationFile:
    """The picture is the one that `filename` names, else the one of the file's own name.

    Raises:
        OtherFileError: the root is not `annotation`.
    """
    if root.tag != "annotation":
        raise OtherFileError(f"is xml of <{root.tag}>")
    found = AnnotationFile()
    name = (root.findtext("filename") or "").strip() or own_name
    found.picture(name, stated_size(root.findtext("size/height"), root.findtext("size/width")))
    for index, crown in enumerate(root.iter("object"), start=1):
        place = f"object {index}"
        found.add(name, place, partial(_shape, crown, place))
    found.drop_repeated()
    return found


def _shape(crown: Element, place: str) -> CrownShape:
    box = crown.find("bndbox")
    if box is None:
        raise CrownError("have no bndbox", f"it has {', '.join(child.tag for child in crown) or 'nothing'}")
    return crown_from_box(label_text(crown.findtext("name")), [box.findtext(side) for side in _SIDES], place=place)

"""Pascal VOC xml: one picture a file, its objects as boxes."""

from functools import partial
from xml.etree.ElementTree import Element

from trainable.data.annotations.objects.annotation_file import AnnotationFile, OtherFileError
from trainable.data.annotations.objects.boxes import object_from_box
from trainable.data.annotations.objects.shapes import ObjectShape
from trainable.data.annotations.objects.written_values import ObjectError, label_text, stated_size

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
    for index, entry in enumerate(root.iter("object"), start=1):
        place = f"object {index}"
        found.add(name, place, partial(_shape, entry, place))
    found.drop_repeated()
    return found


def _shape(entry: Element, place: str) -> ObjectShape:
    box = entry.find("bndbox")
    if box is None:
        raise ObjectError("have no bndbox", f"it has {', '.join(child.tag for child in entry) or 'nothing'}")
    return object_from_box(label_text(entry.findtext("name")), [box.findtext(side) for side in _SIDES], place=place)

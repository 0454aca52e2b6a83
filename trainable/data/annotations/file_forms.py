"""Which form an annotation file has, by its ending and its content; formats/ reads each of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from trainable.data.annotations.formats.coco import SECTIONS, read_coco
from trainable.data.annotations.formats.createml import is_createml, read_createml
from trainable.data.annotations.formats.cvat import read_cvat
from trainable.data.annotations.formats.label_studio import read_label_studio
from trainable.data.annotations.formats.labelme import read_labelme
from trainable.data.annotations.formats.rows import read_rows
from trainable.data.annotations.formats.supervisely import read_supervisely
from trainable.data.annotations.formats.via import is_via, read_via
from trainable.data.annotations.formats.voc import read_voc
from trainable.data.annotations.objects.annotation_file import MAP_COORDINATES, AnnotationFile, OtherFileError
from trainable.data.io.findings import BadFileError
from trainable.data.io.table import TABLE_ENDINGS

ANNOTATION_ENDINGS = (".json", ".xml", *TABLE_ENDINGS)
_KNOWN = "COCO, LabelMe, VIA, Label Studio, CreateML or Supervisely"
_REPAIR = "Put the file right, or remove it."


def read_annotations(path: Path) -> AnnotationFile:
    """Reads the annotations of a file; each object that cannot be used is among its problems.

    Raises:
        OtherFileError: it is whole, but of none of the forms.
        BadFileError: it is damaged.
    """
    ending = path.suffix.lower()
    if ending == ".json":
        return _read_json(path)
    if ending != ".xml":
        return read_rows(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadFileError(f"cannot be read as annotations: it is not XML ({error})", _REPAIR) from error
    return read_cvat(root) if root.tag == "annotations" else read_voc(root, path.stem)


def _read_json(path: Path) -> AnnotationFile:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"cannot be read as annotations: it is not JSON ({error})", _REPAIR) from error
    own_name = path.with_suffix("").name
    match content:
        case list():
            return _read_list(content)
        case {"shapes": list(), "imagePath": _}:
            return read_labelme(content, own_name)
        case dict() if is_via(content):
            return read_via(content)
        case {"objects": list(), "size": dict()}:
            return read_supervisely(content, own_name)
        case dict():
            return _read_coco(content)
    raise OtherFileError(f"holds a JSON {type(content).__name__}, not {_KNOWN}")


def _read_coco(content: Mapping[str, Any]) -> AnnotationFile:
    """Raises OtherFileError for what is not COCO, or has annotations that are no objects."""
    entries = content.get("annotations")
    listed = entries if isinstance(entries, list) else []
    keys = {key for entry in listed if isinstance(entry, dict) for key in entry}
    if "caption" in keys:
        raise OtherFileError("holds captions of pictures")
    if "segments_info" in keys:
        raise OtherFileError("is COCO panoptic json, whose objects lie in png files; convert it to COCO instances")
    if sum(section in content for section in SECTIONS) >= 2:
        return read_coco(content)
    if "features" in content:
        raise OtherFileError(MAP_COORDINATES)
    raise OtherFileError(f"is JSON with {', '.join(sorted(content)[:5]) or 'nothing'}, not {_KNOWN}")


def _read_list(content: Sequence[Any]) -> AnnotationFile:
    if any(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content):
        return read_label_studio(content)
    if is_createml(content):
        return read_createml(content)
    keys = sorted({str(key) for entry in content if isinstance(entry, dict) for key in entry})
    if {"annotator", "lead_time"} & set(keys):
        raise OtherFileError("is Label Studio's JSON-MIN; export it as JSON")
    raise OtherFileError(f"holds a JSON list of {', '.join(keys[:5]) or 'no objects'}, not {_KNOWN}")

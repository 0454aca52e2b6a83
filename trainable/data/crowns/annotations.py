"""Which form an annotation file has, by its ending and its content; formats/ reads each of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from trainable.data.crowns.formats.coco import SECTIONS, read_coco
from trainable.data.crowns.formats.createml import is_createml, read_createml
from trainable.data.crowns.formats.cvat import read_cvat
from trainable.data.crowns.formats.label_studio import is_label_studio, read_label_studio
from trainable.data.crowns.formats.labelme import is_labelme, read_labelme
from trainable.data.crowns.formats.reading import MAP_COORDINATES, AnnotationFile, OtherFileError
from trainable.data.crowns.formats.rows import read_rows
from trainable.data.crowns.formats.supervisely import is_supervisely, read_supervisely
from trainable.data.crowns.formats.via import is_via, read_via
from trainable.data.crowns.formats.voc import read_voc
from trainable.data.io.findings import BadFileError
from trainable.data.io.table import TABLE_ENDINGS

ANNOTATION_ENDINGS = (".json", ".xml", *TABLE_ENDINGS)
_KNOWN = "COCO, LabelMe, VIA, Label Studio, CreateML or Supervisely"
_REPAIR = "Put the file right, or remove it."


def read_annotations(path: Path) -> AnnotationFile:
    """What a file annotates; each crown that cannot be used is among its problems.

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
    if isinstance(content, list):
        return _read_list(content)
    if not isinstance(content, dict):
        raise OtherFileError(f"holds a JSON {type(content).__name__}, not {_KNOWN}")
    if is_labelme(content):
        return read_labelme(content, path.with_suffix("").name)
    if is_via(content):
        return read_via(content)
    if is_supervisely(content):
        return read_supervisely(content, path.with_suffix("").name)
    _refuse_other_coco(content.get("annotations"))
    if sum(section in content for section in SECTIONS) >= 2:
        return read_coco(content)
    if "features" in content:
        raise OtherFileError(MAP_COORDINATES)
    keys = ", ".join(sorted(content)[:5]) or "nothing"
    raise OtherFileError(f"is JSON with {keys}, not {_KNOWN}")


def _refuse_other_coco(entries: object) -> None:
    """Raises OtherFileError for annotations that are no crowns."""
    listed = entries if isinstance(entries, list) else []
    keys = {key for entry in listed if isinstance(entry, dict) for key in entry}
    if "caption" in keys:
        raise OtherFileError("holds captions of pictures")
    if "segments_info" in keys:
        raise OtherFileError("is COCO panoptic json, whose crowns lie in png files; convert it to COCO instances")


def _read_list(content: Sequence[Any]) -> AnnotationFile:
    if is_label_studio(content):
        return read_label_studio(content)
    if is_createml(content):
        return read_createml(content)
    keys = sorted({str(key) for entry in content if isinstance(entry, dict) for key in entry})
    if {"annotator", "lead_time"} & set(keys):
        raise OtherFileError("is Label Studio's JSON-MIN; export it as JSON")
    raise OtherFileError(f"holds a JSON list of {', '.join(keys[:5]) or 'no objects'}, not {_KNOWN}")

"""Facts of opened data for a search: counts of each class, and what was left out."""

from dataclasses import replace

import numpy as np
from PIL import Image

from trainable.config import from_params
from trainable.data.classes.labelled_images import LabelledImages
from trainable.data.classes.probe_set import ProbeSet
from trainable.data.image_mask.image_mask_set import ImageMaskSet
from trainable.tasks.registry import get_task
from trainable.workloads.registry import get_workload


def labelled(labels, class_names):
    names = tuple(map(str, range(len(labels))))
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    return LabelledImages(images=images, labels=np.array(labels), names=names, class_names=class_names)


def counts(workload, data, **changes):
    task = get_task(workload)
    return task.class_counts(replace(task.default_config(), **changes), data)


def test_images_are_counted_by_class_and_those_without_a_label_too():
    data = labelled([0, 1, 1, -1], ("healthy", "rust"))
    assert counts("dishes", labelled([0, 0, 1], ("clean", "dirty"))) == {"clean": 2, "dirty": 1}
    assert counts("leaf_pretrain", data) == {"healthy": 1, "rust": 2, "no label": 1}
    bank = labelled([0] * 9, ("healthy", "rust"))
    assert counts("leaf_pretrain", ProbeSet(bank=bank, queries=data)) == counts("leaf_pretrain", data)


def test_each_grade_of_a_photograph_is_counted_by_itself():
    data = labelled([[0, 1], [2, -1]], (("none", "mild", "severe"), ("none", "central")))
    assert counts("retina", data, tasks=("retinopathy", "edema")) == {
        **{"retinopathy: none": 1, "retinopathy: mild": 0, "retinopathy: severe": 1},
        **{"edema: none": 0, "edema: central": 1, "edema: no label": 1},
    }


def test_masks_without_an_object_are_counted():
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[1, 0, 0] = 1
    data = ImageMaskSet.of_arrays(np.zeros((3, 4, 4, 3), np.uint8), masks, ["a", "b", "c"])
    assert counts("moe", data) == {"with an object": 1, "without an object": 2}


def test_what_was_left_out_of_a_folder_reaches_the_search(tmp_path):
    for number in range(15):
        path = tmp_path / "plates" / ("clean", "dirty", "clean")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    path.rename(tmp_path / "plates" / "loose.png")
    workload = get_workload("dishes")
    config = from_params({"image_size_px": 16}, workload.default_config(str(tmp_path / "plates")))
    facts = workload.facts(config, workload.open_data(config, cache_dir=tmp_path / "cache"))
    assert sum(facts.class_counts["validation"].values()) == facts.images["validation"]
    left_out = [kind for kind in facts.findings if kind.action.startswith("Left out")]
    assert [(kind.number, kind.first[0][0]) for kind in left_out] == [(1, "loose.png")]

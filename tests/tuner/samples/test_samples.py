"""Sample pictures: drawn from the saved weights, shown beside their truth, and escaped."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.tuner.views.html.test_page import HOSTILE, page_of
from trainable.data.generated.leaf_pictures import LeafPictureConfig
from trainable.tasks.leaf_data import LeafData
from trainable.tasks.registry import get_task
from tuner.records import read_search
from tuner.results.headline import State
from tuner.results.samples import (
    Confusion,
    Judgement,
    Sample,
    Samples,
    fails_most,
    failures,
    read_samples,
    which_judged,
    write_samples,
)
from tuner.samples import judging
from tuner.samples.batching import alone, form_of, join_batches
from tuner.samples.judging import draw_samples, spread_order
from tuner.samples.kind import JudgedImage
from tuner.samples.kinds import Crowns, Grades, Masks, overlap
from tuner.samples.neighbours import ClassNeighbours, LookNeighbours

PIXEL = "data:image/jpeg;base64,AAAA"


def test_samples_of_masks_are_drawn_from_the_weights_of_both_trials(trained_folder, tmp_path):
    folder = Path(shutil.copytree(trained_folder, tmp_path / "run"))
    search = read_search(folder)
    samples = draw_samples(folder, search, search.leader)
    assert samples == read_samples(folder, search.leader.name)
    assert read_samples(folder, "000-0123abcd") is None
    assert samples.num_judged == len({sample.number for sample in samples.shown})
    assert [one.exported.score for one in samples.worst_exported] == sorted(
        one.exported.score for one in samples.worst_exported
    )
    assert samples.shown[0].default.picture != samples.shown[0].exported.picture


@pytest.mark.parametrize(("number", "taken"), [(336, 200), (336, 9), (40, 40), (5000, 200)])
def test_wherever_the_judging_is_cut_the_images_are_spread_over_the_split(number, taken):
    places = sorted(spread_order(number)[:taken])
    assert len(set(places)) == taken
    gaps = [after - before for before, after in pairwise([-1, *places, number])]
    assert max(gaps) <= 3 * number / taken


def test_of_a_split_in_the_order_of_its_classes_every_class_is_judged(trained_search, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "MAX_JUDGED", 12)
    leaves = LeafPictureConfig(picture_px=32, num_train=30, num_unlabelled=12, num_validation=15, num_test=60)
    task = get_task("leaf")
    base = replace(task.default_config(), max_epochs=1, batch_size=8, data=LeafData(leaves=leaves))
    folder = tmp_path / "leaf" / "run"
    trained_search(folder, base, [{}], num_epochs=[1], rung_epochs=())
    search = read_search(folder)
    splits = task.open_data(base)
    by_class = _in_order_of_classes(splits.test)
    monkeypatch.setattr(judging, "open_data", lambda config, fingerprint: replace(splits, test=by_class))
    samples = draw_samples(folder, search, search.default_trial)
    (confusion,) = samples.confusions
    assert [sum(row) > 0 for row in confusion.exported] == [count > 0 for count in by_class.class_counts()]
    assert which_judged(samples) == "12 of 60 test images, spread evenly over the split"


def _in_order_of_classes(images):
    rows = images.labels.argsort(kind="stable")
    return replace(
        images, images=images.images[rows], labels=images.labels[rows], names=tuple(images.names[row] for row in rows)
    )


def test_a_mask_is_scored_by_its_overlap():
    truth, found = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    truth[0, :2], found[0, :1] = 1.0, 0.9
    image = JudgedImage(torch.rand(3, 4, 4), truth, {"default": found, "exported": truth})
    sample = Masks().sample(0, [image])
    assert (sample.default.score, sample.exported.score) == (0.5, 1.0)
    assert overlap(torch.zeros(2, 2).bool(), torch.zeros(2, 2).bool()) == 1.0


def test_what_the_default_found_has_another_colour_than_what_the_exported_trial_found():
    mask = torch.zeros(1, 8, 8)
    mask[0, 2:6, 2:6] = 1.0
    image = JudgedImage(torch.zeros(3, 8, 8), mask, {"default": mask, "exported": mask})
    sample = Masks().sample(0, [image])
    assert len({sample.picture, sample.default.picture, sample.exported.picture}) == 3


def test_masks_of_several_sizes_are_judged_each_with_its_own():
    batches = [(torch.full((2, 3, 4, 4), float(side)), torch.zeros(2, 1, side, side)) for side in (4, 6)]
    singles = [alone(batch, row) for batch in batches for row in range(2)]
    assert form_of(singles[0]) == form_of(singles[1]) != form_of(singles[2])
    images, masks = join_batches(singles[2:])
    assert (images.shape, masks.shape) == ((2, 3, 4, 4), (2, 1, 6, 6))
    crowns = [{"boxes": torch.zeros(number, 4)} for number in (1, 3)]
    assert join_batches([alone(crowns, 0), alone(crowns, 1)]) == crowns


def test_a_class_is_scored_by_the_probability_of_the_true_one_and_counted():
    images = [
        JudgedImage(torch.rand(3, 4, 4), torch.tensor(1), {"default": torch.tensor([0.7, 0.3]), "exported": said})
        for said in (torch.tensor([0.2, 0.8]), torch.tensor([0.6, 0.4]))
    ]
    kind = Grades({"": ("clean", "dirty")})
    first = kind.sample(0, images)
    said = (first.truth, first.default.caption, first.exported.caption)
    assert said == ("dirty", "clean (0.70), true class 0.30", "dirty (0.80)")
    assert first.exported.score == pytest.approx(0.8)
    (confusion,) = kind.confusions(images)
    assert (confusion.default, confusion.exported) == ([[0, 0], [2, 0]], [[0, 0], [1, 1]])


def test_a_grade_that_is_missing_is_not_counted():
    scores = (torch.tensor([0.7, 0.3]), torch.tensor([0.1, 0.2, 0.7]))
    image = JudgedImage(torch.rand(3, 4, 4), torch.tensor([0, -1]), {"default": scores, "exported": scores})
    kind = Grades({"acne": ("no", "yes"), "edema": ("low", "mid", "high")})
    sample = kind.sample(0, [image])
    assert sample.truth == "acne no, edema not graded"
    assert sample.default.score == pytest.approx(0.7)
    assert [sum(map(sum, one.default)) for one in kind.confusions([image])] == [1, 0]


def test_crowns_are_counted_from_the_sure_score_on():
    masks = torch.zeros(2, 8, 8)
    masks[0, :4, :4], masks[1, 4:, 4:] = 1, 1
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [4.0, 4.0, 8.0, 8.0]])
    found = {"masks": masks, "boxes": boxes, "scores": torch.tensor([0.9, 0.2])}
    image = JudgedImage(
        torch.rand(3, 8, 8), {"masks": masks, "boxes": boxes}, {"default": (found, None), "exported": (found, None)}
    )
    sample = Crowns().sample(0, [image])
    assert (sample.truth, sample.default.caption) == ("2 crowns", "1 crown, canopy IoU 0.50")


def test_a_network_that_is_sure_of_no_crown_says_what_it_found_below():
    found = {"masks": torch.ones(2, 8, 8), "boxes": torch.zeros(2, 4), "scores": torch.tensor([0.31, 0.2])}
    truth = {"masks": torch.ones(1, 8, 8), "boxes": torch.zeros(1, 4)}
    image = JudgedImage(torch.rand(3, 8, 8), truth, {"default": (found, None), "exported": (found, None)})
    sample = Crowns().sample(0, [image])
    assert sample.default.caption == "0 crowns (2 below score 0.5, the best 0.31), canopy IoU 0.00"


def test_neighbours_of_a_class_are_the_others_by_cosine_and_scored_by_their_class():
    features = torch.tensor([[1.0, 0.0], [3.0, 0.1], [0.9, 0.2], [0.5, 0.5], [-1.0, 0.0]])
    labels = (0, 0, 1, 0, 1)
    images = [
        JudgedImage(torch.rand(3, 8, 8), {"label": torch.tensor(label)}, {"default": -feature, "exported": feature})
        for label, feature in zip(labels, features, strict=True)
    ]
    sample = ClassNeighbours(("rust", "healthy")).sample(0, images)
    assert (sample.truth, sample.exported.caption) == ("rust", "2 of 3 right: rust, healthy, rust")
    assert sample.exported.score == pytest.approx(2 / 3)
    assert sample.exported.caption == sample.default.caption
    assert ClassNeighbours(()).counts({"is_query": torch.tensor([True, True])})
    assert not ClassNeighbours(()).counts({"is_query": torch.tensor([False, False])})


def test_a_second_look_is_ranked_among_those_of_all_images():
    looks = [([1.0, 0.0], [0.0, 1.0]), ([0.0, 1.0], [1.0, 0.1]), ([1.0, 1.0], [1.0, 0.9])]
    images = [
        JudgedImage(torch.rand(2, 3, 8, 8), number, {"exported": torch.tensor(pair)})
        for number, pair in enumerate(looks)
    ]
    first, last = (LookNeighbours().sample(number, images) for number in (0, 2))
    assert (first.exported.caption, first.exported.score) == (
        "its own second view is number 3 of 3",
        pytest.approx(1 / 3),
    )
    assert (last.exported.caption, last.exported.score, last.default) == (
        "its own second view is number 1 of 3",
        1.0,
        None,
    )


def test_an_encoder_s_neighbours_are_drawn_from_its_weights(trained_search, tmp_path):
    task = get_task("leaf_pretrain")
    leaves = LeafPictureConfig(picture_px=32, num_train=20, num_unlabelled=12, num_validation=10, num_test=15)
    base = replace(task.default_config(), max_epochs=1, batch_size=8, data=LeafData(leaves=leaves))
    folder = tmp_path / "leaf_pretrain" / "run"
    trained_search(folder, base, [{}, {"max_lr": 1e-3}], num_epochs=[1, 1], rung_epochs=())
    search = read_search(folder)
    samples = draw_samples(folder, search, search.trials[1])
    assert samples.in_rows
    assert samples.num_judged == leaves.num_test


def test_where_the_default_is_exported_it_is_shown_once(trained_folder, tmp_path):
    folder = Path(shutil.copytree(trained_folder, tmp_path / "run"))
    search = read_search(folder)
    samples = draw_samples(folder, search, search.default_trial)
    assert {sample.default for sample in (*samples.shown, *samples.worst_exported)} == {None}
    assert samples.worst_default == []
    assert samples.num_poor.keys() == {"exported"}


def test_the_failures_are_counted_and_the_most_frequent_mistake_is_named():
    confusion = Confusion(title="", classes=["clean", "dirty"], exported=[[9, 1], [3, 4]], default=[[5, 5], [2, 5]])
    samples = Samples(
        trial="a",
        score="IoU, the overlap with the true mask",
        num_judged=17,
        shown=[],
        worst_default=[],
        worst_exported=[],
        confusions=[confusion],
        num_poor={"exported": 4, "default": 7},
    )
    assert failures(samples) == [
        "With the exported trial, the IoU is below 0.5 on 4 of 17 images; with the default, on 7.",
        "Its most frequent mistake: dirty taken for clean, 3 of 7.",
    ]
    assert fails_most(samples) == "dirty taken for clean, 3 of 7"
    assert fails_most(replace(samples, confusions=[])) == "IoU below 0.5 on 4 of 17 images (default 7)"
    assert fails_most(replace(samples, confusions=[], num_poor={})) is None


def test_samples_and_confusions_are_on_the_page_and_their_names_do_nothing(synthetic_search):
    synthetic = synthetic_search()
    synthetic.run()
    search, folder = synthetic.recorder.record, synthetic.recorder.folder
    one = Judgement(picture=None, caption=f"{HOSTILE} (0.90)", score=0.9)
    sample = Sample(number=3, picture=PIXEL, truth=HOSTILE, default=one, exported=one)
    confusion = Confusion(title="", classes=[HOSTILE, "b"], default=[[1, 2], [3, 4]], exported=[[5, 6], [7, 8]])
    samples = Samples(
        trial=search.leader.name,
        score="IoU",
        num_judged=1,
        shown=[sample],
        worst_default=[sample],
        worst_exported=[sample],
        confusions=[confusion],
    )
    write_samples(folder, samples)
    page = page_of(folder, State.OVER)
    pictures = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert pictures == [PIXEL] * 3
    assert ("img", "alt", f"Test image 3, {HOSTILE}") in page.attributes
    assert "What was taken for what" in page.words
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "img" not in page_of(folder, State.RUNNING).tags


def test_a_damaged_file_is_a_sentence(tmp_path):
    (tmp_path / "samples.json").write_text('{"trial": 5}')
    with pytest.raises(ValueError, match="is damaged, delete it"):
        read_samples(tmp_path, "000-0123abcd")

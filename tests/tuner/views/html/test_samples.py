"""Sample pictures: drawn from the saved weights, shown beside their truth, and escaped."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.tuner.views.html.test_page import HOSTILE, page_of
from tuner.records import read_search
from tuner.results.headline import State
from tuner.results.samples import Confusion, Judgement, Sample, Samples, read_samples, write_samples
from tuner.samples.judging import draw_samples
from tuner.samples.kinds import Crowns, Grades, JudgedImage, Masks, overlap

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


def test_a_mask_is_scored_by_its_overlap():
    truth, found = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    truth[0, :2], found[0, :1] = 1.0, 0.9
    image = JudgedImage(torch.rand(3, 4, 4), truth, {"default": found, "exported": truth})
    sample = Masks().sample(0, image)
    assert (sample.default.score, sample.exported.score) == (0.5, 1.0)
    assert overlap(torch.zeros(2, 2).bool(), torch.zeros(2, 2).bool()) == 1.0


def test_a_class_is_scored_by_the_probability_of_the_true_one_and_counted():
    images = [
        JudgedImage(torch.rand(3, 4, 4), torch.tensor(1), {"default": torch.tensor([0.7, 0.3]), "exported": said})
        for said in (torch.tensor([0.2, 0.8]), torch.tensor([0.6, 0.4]))
    ]
    kind = Grades({"": ("clean", "dirty")})
    first = kind.sample(0, images[0])
    assert (first.truth, first.default.caption, first.exported.caption) == ("dirty", "clean (0.70)", "dirty (0.80)")
    assert first.exported.score == pytest.approx(0.8)
    (confusion,) = kind.confusions(images)
    assert (confusion.default, confusion.exported) == ([[0, 0], [2, 0]], [[0, 0], [1, 1]])


def test_a_grade_that_is_missing_is_not_counted():
    scores = (torch.tensor([0.7, 0.3]), torch.tensor([0.1, 0.2, 0.7]))
    image = JudgedImage(torch.rand(3, 4, 4), torch.tensor([0, -1]), {"default": scores, "exported": scores})
    kind = Grades({"acne": ("no", "yes"), "edema": ("low", "mid", "high")})
    sample = kind.sample(0, image)
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
    sample = Crowns().sample(0, image)
    assert (sample.truth, sample.default.caption) == ("truth: 2 crowns", "1 crown, canopy IoU 0.50")


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

"""YOLO's lines are fractions of their picture's sides; one that is not costs itself."""

import pytest

from trainable.data.annotations.formats.yolo import YoloClasses, read_classes, read_yolo
from trainable.data.annotations.objects.annotation_file import OtherFileError
from trainable.data.io.findings import BadFileError

NAMES = {0: "Palm", 1: "cacao"}


@pytest.fixture
def read(tmp_path):
    def read_text(*lines, names=NAMES):
        (tmp_path / "plot.txt").write_text("\n".join(lines))
        return read_yolo(tmp_path / "plot.txt", size=(100, 200), classes=YoloClasses(names=names))

    return read_text


def test_boxes_and_outlines_become_pixels(read):
    box, outline = read("0 0.5 0.5 0.2 0.4", "1 0.1 0.1 0.5 0.1 0.1 0.5").pictures["plot"].shapes
    assert (box.label, box.box) == ("palm", (80, 30, 120, 70))
    assert (outline.label, outline.polygons) == ("cacao", (((20, 10), (100, 10), (20, 50)),))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 80 30 120 70", "are not in fractions of their picture"),
        ("7 0.5 0.5 0.2 0.4", "are of a class that has no name"),
        ("0.5 0.5 0.5 0.2 0.4", "are of a class that has no name"),
        ("0 0.5 0.5 0.2 0.4 0.9", "are neither box nor outline"),
        ("0 0.5 0.5 0 0.4", "have a box without area"),
        ("0 0.5 x 0.2 0.4", "have a coordinate that is not a number"),
    ],
)
def test_a_bad_line_is_left_out(read, line, reason):
    found = read("0 0.5 0.5 0.2 0.4", line)
    (problem,) = found.problems
    assert (problem.place, problem.reason) == ("line 2", reason)


def test_an_empty_file_says_that_its_picture_has_no_object(read):
    assert read("").pictures["plot"].shapes == []


def test_a_text_that_is_no_list_of_numbers_is_another_file(read):
    with pytest.raises(OtherFileError, match="no line of numbers"):
        read("a photograph of a plot")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [Palm, cacao]\nnc: 2\n"),
        ("data.yml", "names:\n  0: Palm\n  1: cacao\n"),
        ("classes.txt", "Palm\ncacao\n"),
    ],
)
def test_the_names_of_the_classes_are_found(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_classes(tmp_path, [tmp_path / name]).names == NAMES


def test_an_empty_line_of_a_list_is_a_number_without_a_name(tmp_path):
    (tmp_path / "classes.txt").write_text("palm\n\n  \ncacao\n")
    assert read_classes(tmp_path, [tmp_path / "classes.txt"]).names == {0: "palm", 3: "cacao"}


def test_without_a_list_of_names_a_class_is_called_by_its_number(read):
    assert read("1 0.5 0.5 0.2 0.4", names={}).pictures["plot"].shapes[0].label == "class 1"


def test_two_lists_of_other_names_are_an_error_that_names_them(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [palm]")
    (tmp_path / "classes.txt").write_text("cacao")
    with pytest.raises(BadFileError, match=r"different names of classes: .*classes.txt, .*data.yaml"):
        read_classes(tmp_path, [tmp_path / "classes.txt", tmp_path / "data.yaml"])


@pytest.mark.parametrize("shape", ["[2, 2]", "[3, 3]"])
def test_keypoints_of_a_pose_are_no_outline(tmp_path, shape):
    (tmp_path / "data.yaml").write_text(f"names: [palm]\nkpt_shape: {shape}")
    classes = read_classes(tmp_path, [tmp_path / "data.yaml"])
    (tmp_path / "plot.txt").write_text("0 0.5 0.5 0.2 0.4" + " 0.5" * classes.num_keypoint_values)
    (shape,) = read_yolo(tmp_path / "plot.txt", size=(100, 200), classes=classes).pictures["plot"].shapes
    assert (shape.box, shape.polygons) == ((80, 30, 120, 70), ())


def test_a_list_of_names_in_another_encoding_is_reported_by_name(tmp_path):
    (tmp_path / "classes.txt").write_bytes("pâlm".encode("latin-1"))
    with pytest.raises(BadFileError, match=r"classes\.txt are not read"):
        read_classes(tmp_path, [tmp_path / "classes.txt"])

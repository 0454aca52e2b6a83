"""In Pascal VOC xml a bad object costs itself; what the file does not say is taken from its own name, or told."""

from xml.etree import ElementTree

import pytest

from trainable.data.annotations.formats.voc import read_voc

BOX = "<bndbox><xmin>20</xmin><ymin>2</ymin><xmax>30</xmax><ymax>12</ymax></bndbox>"


@pytest.fixture
def read():
    def read_text(*objects, head="<filename>plot_1.tif</filename>"):
        entries = "".join(f"<object>{one}</object>" for one in objects)
        return read_voc(ElementTree.fromstring(f"<annotation>{head}{entries}</annotation>"), "plot_2")

    return read_text


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("<name>palm</name>", "have no bndbox"),
        (f"<name>palm</name>{BOX}".replace("<xmin>20</xmin>", ""), "have a coordinate that is not a number"),
        (f"<name>palm</name>{BOX}".replace(">20<", ">x<"), "have a coordinate that is not a number"),
        (f"<name>palm</name>{BOX}".replace(">20<", ">inf<"), "have a coordinate that is not finite"),
        (f"<name>palm</name>{BOX}".replace(">20<", ">30<"), "have a box without area"),
    ],
)
def test_a_bad_object_is_left_out_with_the_reason(read, entry, reason):
    found = read(f"<name>palm</name>{BOX}", entry)
    (problem,) = found.problems
    assert (problem.place, problem.reason) == ("object 2", reason)
    assert len(found.pictures["plot_1.tif"].shapes) == 1


@pytest.mark.parametrize("name", ["", "<name/>", "<name> </name>", "<name>nan</name>"])
def test_an_object_without_a_name_is_unnamed(read, name):
    (shape,) = read(name + BOX).pictures["plot_1.tif"].shapes
    assert shape.label == ""


@pytest.mark.parametrize("head", ["", "<filename/>"])
def test_a_file_that_names_no_picture_speaks_of_the_one_of_its_own_name(read, head):
    assert list(read(f"<name>palm</name>{BOX}", head=head).pictures) == ["plot_2"]


def test_a_size_of_zero_states_none(read):
    head = "<filename>a.png</filename><size><width>{}</width><height>{}</height></size>"
    assert read(head=head.format(48, 32)).pictures["a.png"].size == (32, 48)
    assert read(head=head.format(0, 0)).pictures["a.png"].size is None

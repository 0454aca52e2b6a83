"""Groups that a table states are read where the name of the column leaves no doubt, and a split that is named stays."""

from pathlib import Path

import pytest

from trainable.data.io.findings import Severity
from trainable.data.splitting.group_tables import stated_groups

PICTURES = [Path("images") / f"p{number}.png" for number in range(6)]


def groups_of(root, table, splits=(None,) * 6):
    (root / "a.csv").write_text(table)
    return stated_groups(root, PICTURES, splits)


def rows(column, values, pictures=PICTURES):
    return "\n".join([f"image,{column}", *(f"{one.name},{value}" for one, value in zip(pictures, values, strict=True))])


@pytest.mark.parametrize("column", ["tile", "Tile_ID", "patient", "site", "video name", "group"])
def test_a_column_of_groups_is_read_by_its_name(tmp_path, column):
    groups, findings = groups_of(tmp_path, rows(column, "aabbcc"))
    assert groups == list("aabbcc")
    assert [finding.problem for finding in findings] == [f"names 3 groups of 6 pictures in '{column}'"]


def test_the_number_of_a_row_is_not_taken_for_the_name_of_a_picture(tmp_path):
    table = "\n".join(["row,filename,tile", *(f"{5 - number},{number}.png,{number // 2}" for number in range(6))])
    (tmp_path / "a.csv").write_text(table)
    groups, _ = stated_groups(tmp_path, [Path(f"{number}.png") for number in range(6)], [None] * 6)
    assert groups == list("001122")


@pytest.mark.parametrize("column", ["tree_id", "object", "label", "score"])
def test_a_column_that_may_be_of_one_annotation_is_none(tmp_path, column):
    assert groups_of(tmp_path, rows(column, "aabbcc")) == ([None] * 6, [])


def test_a_picture_in_two_groups_and_too_few_groups_are_reported_and_not_used(tmp_path):
    pictures = [*PICTURES, PICTURES[0]]
    groups, (reported,) = groups_of(tmp_path, rows("tile", "aabbccb", pictures))
    assert (groups, reported.severity) == ([None] * 6, Severity.WARNING)
    assert reported.problem == "names two groups in 'tile' for one picture, p0: a and b"
    groups, (reported,) = groups_of(tmp_path, rows("group", "aaabbb"))
    assert (groups, reported.severity) == ([None] * 6, Severity.WARNING)
    assert reported.problem == "has 2 groups in 'group', and there are three splits"


def test_two_columns_that_could_be_the_group_cost_the_groups_and_not_the_data(tmp_path):
    table = "\n".join(["image,patient,group", *(f"p{number}.png,{number},{number // 2}" for number in range(6))])
    groups, (reported,) = groups_of(tmp_path, table)
    assert (groups, reported.severity) == ([None] * 6, Severity.WARNING)
    assert reported.problem == "has 2 columns that could be the group: 'patient', 'group'"


def test_a_published_test_split_stays_as_it_is(tmp_path):
    groups, _ = groups_of(tmp_path, rows("scene", "aabbcc"), ("train", "test", None, "test", "train", None))
    assert groups == ["a", None, "b", None, "c", "c"]
    all_named = groups_of(tmp_path, rows("scene", "aabbcc"), ("train", "test", "validation", "test", "train", "train"))
    assert all_named == ([None] * 6, [])


def test_a_row_without_a_group_and_a_picture_without_a_row_have_none(tmp_path):
    groups, _ = groups_of(tmp_path, rows("tile", ["a", "", "b", "c", "c"], PICTURES[:5]))
    assert groups == ["a", None, "b", "c", "c", None]

"""Splits follow from names and contents alone, keep groups together, and hardly move when a file is added."""

import numpy as np
import pytest

from trainable.data.io.splits import group_ids, stratified_group_split

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def example(num_images: int, seed: int = 0) -> tuple[list[str], list[float]]:
    foregrounds = np.random.default_rng(seed).lognormal(-3, 1, num_images)
    return [f"image_{number:04d}" for number in range(num_images)], foregrounds.tolist()


def test_shares_are_kept_to_one_image():
    names, foregrounds = example(118)
    parts = stratified_group_split(names, foregrounds, SHARES)
    for part, share in SHARES.items():
        assert abs(parts.count(part) - share * 118) <= 1


def test_the_order_of_the_files_does_not_matter():
    names, foregrounds = example(60)
    parts = dict(zip(names, stratified_group_split(names, foregrounds, SHARES), strict=True))
    order = np.random.default_rng(1).permutation(60)
    shuffled = stratified_group_split([names[i] for i in order], [foregrounds[i] for i in order], SHARES)
    assert [parts[names[i]] for i in order] == shuffled


def test_a_frozen_example_guards_against_another_split_in_a_later_version():
    names, foregrounds = example(10)
    parts = stratified_group_split(names, foregrounds, SHARES)
    assert " ".join(part[:2] for part in parts) == "va tr tr tr va te tr tr te tr"


def test_seed_zero_is_the_division_of_the_bare_names_and_each_other_seed_another():
    names, foregrounds = example(200)
    parts = [stratified_group_split(names, foregrounds, SHARES, seed=seed) for seed in range(4)]
    assert parts[0] == stratified_group_split(names, foregrounds, SHARES)
    assert len(set(map(tuple, parts))) == 4
    tested = [{row for row, part in enumerate(one) if part == "test"} for one in parts]
    by_chance = 200 * 0.2 * 0.2
    assert abs(np.mean([len(tested[0] & other) for other in tested[1:]]) - by_chance) <= 5


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_split_has_its_share_of_every_object_size(seed):
    names, foregrounds = example(500)
    parts = np.array(stratified_group_split(names, foregrounds, SHARES, seed=seed))
    fifth = np.searchsorted(np.quantile(foregrounds, [0.2, 0.4, 0.6, 0.8]), foregrounds, side="right")
    for part, share in SHARES.items():
        counts = np.bincount(fifth[parts == part], minlength=5)
        np.testing.assert_allclose(counts, 100 * share, atol=1.5)


def test_strata_hold_where_most_masks_are_empty():
    names, _ = example(200)
    foregrounds = [0.0] * 150 + [0.2] * 50
    parts = np.array(stratified_group_split(names, foregrounds, SHARES))
    assert abs(np.sum(parts[:150] == "test") - 30) <= 1
    assert abs(np.sum(parts[150:] == "test") - 10) <= 1


def test_groups_are_never_divided():
    foregrounds = example(240)[1]
    groups = [f"video_{number % 23}" for number in range(240)]
    parts = stratified_group_split(groups, foregrounds, SHARES)
    for group in set(groups):
        assert len({part for part, own in zip(parts, groups, strict=True) if own == group}) == 1
    assert abs(parts.count("train") - 144) <= 12


def test_adding_one_file_moves_few_others():
    names, foregrounds = example(200)
    before = stratified_group_split(names, foregrounds, SHARES)
    moved = [
        sum(
            old != new
            for old, new in zip(
                before, stratified_group_split([*names, f"new_{n}"], [*foregrounds, 0.01 * n], SHARES), strict=False
            )
        )
        for n in range(30)
    ]
    assert np.mean(moved) <= 3
    assert max(moved) <= 8


@pytest.mark.parametrize("num_images", range(3, 12))
def test_no_split_is_empty_however_small_the_set(num_images):
    names, foregrounds = example(num_images)
    assert set(stratified_group_split(names, foregrounds, SHARES)) == set(SHARES)


@pytest.mark.parametrize("large", [0, 1, 2, 3])
def test_no_split_is_empty_when_one_group_is_most_of_the_set(large):
    groups = [f"group_{large}"] * 97 + [f"group_{number}" for number in range(4)]
    assert set(stratified_group_split(groups, [0.1] * len(groups), SHARES)) == set(SHARES)


def test_too_few_groups_are_an_error_with_the_numbers():
    with pytest.raises(ValueError, match=r"5 images in 2 groups cannot be split .* at least 3 groups are needed"):
        stratified_group_split(["a", "a", "b", "b", "b"], [0.1] * 5, SHARES)


def test_without_a_pattern_every_name_is_its_own_group():
    assert group_ids(["a_1", "a_2"], ["x", "y"]) == ["a_1", "a_2"]


def test_a_pattern_finds_the_source_by_its_parentheses_or_whole():
    names = ["0001TP_007680", "0006R0_f01050", "0006R0_f01770"]
    assert group_ids(names, ["x", "y", "z"], r"^(.+?)_") == ["0001TP", "0006R0", "0006R0"]
    assert group_ids(names, ["x", "y", "z"], r"^[^_]+") == ["0001TP", "0006R0", "0006R0"]


def test_parentheses_that_stay_empty_are_no_source():
    with pytest.raises(ValueError, match=r"not found in 1 of 2 names, such as 'plate'"):
        group_ids(["clip_1", "plate"], ["x", "y"], r"clip_(\d)|plate")


def test_equal_contents_join_their_groups_even_in_a_chain():
    names = ["a_1", "a_2", "b_1", "b_2", "c_1", "d_1"]
    digests = ["p", "q", "q", "r", "r", "s"]
    assert group_ids(names, digests, r"^.") == ["a", "a", "a", "a", "a", "d"]


def test_a_pattern_that_a_name_lacks_is_an_error_with_that_name():
    with pytest.raises(ValueError, match=r"not found in 1 of 2 names, such as 'plate'"):
        group_ids(["clip_1", "plate"], ["x", "y"], r"_\d")

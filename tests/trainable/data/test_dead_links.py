"""A link whose target is gone may be a class, the masks or a table: every workload reports it."""

import pytest

from trainable.config import from_params
from trainable.data.io.findings import DataError
from trainable.tasks.registry import get_task


@pytest.mark.parametrize("space", ["moe", "dishes", "leaf", "agroforestry", "retina"])
@pytest.mark.parametrize("name", ["rust", "labels.csv", "crowns.json"])
def test_a_link_to_nothing_stops_the_search_with_its_name(tmp_path, space, name):
    for folder in ("healthy", "spots", "images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "a.png").touch()
    (tmp_path / "data" / "healthy" / name).symlink_to(tmp_path / "disk" / name)
    task = get_task(space)
    with pytest.raises(
        DataError, match=rf"holds 1 link to a folder or file that is not there: healthy/{name}\. Restore"
    ):
        task.open_data(from_params({}, task.default_config(source=str(tmp_path / "data"))), cache_dir=tmp_path)

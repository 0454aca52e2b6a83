"""The folder that predictions are written to: a row for each picture in predictions.csv, and the files it names.

A picture's row is written after its file and overlay, so whatever has a row is complete; a later call continues there.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from trainable.console.visible_text import from_csv_cell, to_csv_cell
from trainable.prediction.base import Prediction, Predictor, Row
from trainable.prediction.coco import write_json
from trainable.prediction.drawing import canvas
from trainable.reporting.output_folder import check_writable

TABLE, MADE_WITH, OVERLAYS = "predictions.csv", "predicted_with.json", "overlays"
_ODD_NAMES = "surrogateescape"
"""Names of pictures may hold bytes that are no UTF-8; they are written as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionFolder:
    """The predictions of one network."""

    path: Path
    kind: type[Prediction]
    overlay: bool
    """Each prediction is drawn on its picture too."""
    rows: list[Row]
    """Rows of the table, in its order."""

    made_with: str
    """Identifies configuration, weights and options; a folder of other predictions is refused."""

    @classmethod
    def read(cls, path: Path, kind: type[Prediction], *, files: Mapping[str, Path], overlay: bool) -> Self:
        """Reads what an earlier call wrote; writes nothing.

        Args:
            files: the configuration and the weights.

        Raises:
            ValueError: the folder can't be written to, or holds other predictions.
        """
        check_writable(path, "--output")
        digests = {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
        made_with = json.dumps(digests | {"overlay": overlay})
        folder = cls(path=path, kind=kind, overlay=overlay, made_with=made_with, rows=[])
        if (path / TABLE).exists():
            if not (path / MADE_WITH).exists() or (path / MADE_WITH).read_text(encoding="utf-8") != made_with:
                raise ValueError(
                    f"{path} holds predictions with another configuration, other weights or another --overlay; give "
                    "another --output."
                )
            # A row that a kill cut short, or whose files are gone, is predicted again.
            for decoded in _whole_rows(path / TABLE):
                if all(file.exists() for file in folder.files_of(decoded["picture"]).values()):
                    folder.rows.append(decoded)
        return folder

    def begin(self, pictures: Sequence[Path]) -> list[Path]:
        """Makes the folder and returns the pictures that have no row yet.

        Raises:
            ValueError: two pictures would get the same file, or a file would overwrite a picture.
        """
        done = {str(row["picture"]) for row in self.rows}
        missing = [picture for picture in pictures if str(picture) not in done]
        self._check_places([*map(Path, done), *missing])
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / MADE_WITH).write_text(self.made_with, encoding="utf-8")
        self._write(self.rows, "w")
        return missing

    def files_of(self, picture: str | Path) -> dict[str, Path]:
        """The files of a picture, by their column of the table."""
        files = {}
        if self.kind.folder is not None:
            files["file"] = self.path / self.kind.folder / f"{Path(picture).stem}{self.kind.ending}"
        if self.overlay:
            files["overlay"] = self.path / OVERLAYS / f"{Path(picture).stem}.png"
        return files

    def add(self, picture: Path, pixels: Image.Image, prediction: Prediction) -> None:
        """Writes the files of a picture, then its row."""
        files = self.files_of(picture)
        for file in files.values():
            file.parent.mkdir(exist_ok=True)
        if "file" in files:
            prediction.write(files["file"])
        if "overlay" in files:
            drawn = prediction.draw(canvas(pixels))
            Image.fromarray(drawn.permute(1, 2, 0).numpy()).save(files["overlay"])
        places = {column: file.relative_to(self.path).as_posix() for column, file in files.items()}
        self.rows.append({"picture": str(picture), **places, **prediction.row()})
        self._write(self.rows[-1:], "a")

    def gather(self, predictor: Predictor) -> None:
        """Writes the files about all pictures together."""
        files = [self.files_of(str(row["picture"])) for row in self.rows]
        for name, content in predictor.gathered(self.rows, [own["file"] for own in files if "file" in own]).items():
            write_json(self.path / name, content)

    def _check_places(self, pictures: Sequence[Path]) -> None:
        taken = {picture.resolve(): f"the picture {picture}" for picture in pictures}
        for picture in pictures:
            for file in self.files_of(picture).values():
                if file.resolve() in taken:
                    raise ValueError(
                        f"{file} of {picture} would overwrite {taken[file.resolve()]}; give another --output."
                    )
                taken[file.resolve()] = f"that of {picture}"

    def _write(self, rows: Sequence[Row], mode: str) -> None:
        with (self.path / TABLE).open(mode, encoding="utf-8", errors=_ODD_NAMES, newline="") as file:
            if rows:
                writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerows({column: to_csv_cell(cell) for column, cell in row.items()} for row in rows)


def _whole_rows(table: Path) -> list[dict[str, str]]:
    """Returns the rows of the table, without a truncated last one.

    Raises:
        ValueError: its first line does not name the pictures, as after another program has saved it in its own way.
    """
    content = table.read_bytes().decode("utf-8", _ODD_NAMES)
    # Lines end as in the csv module: a name may hold other ends of a line.
    reader = csv.DictReader(io.StringIO(content[: content.rfind("\n") + 1], newline=""))
    if "picture" not in (reader.fieldnames or ["picture"]):
        raise ValueError(f"{table} has no column picture; restore it, or give another --output.")
    whole = [row for row in reader if None not in row and None not in row.values()]
    return [{column: from_csv_cell(cell) for column, cell in row.items()} for row in whole]

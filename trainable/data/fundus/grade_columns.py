"""Which column of a table is the photograph, which a grade, which the patient: by their names, and never in doubt.

Names are compared without case, underscores and outer spaces: the IDRiD tables call one `Risk of macular edema `,
EyePACS writes `image,level`, APTOS `id_code,diagnosis`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainable.data.fundus.grade_words import grade_in_words
from trainable.data.fundus.grades import TASK_NAMES
from trainable.data.io.findings import BadFileError
from trainable.data.io.picture_names import PictureKeys
from trainable.data.io.table import IMAGE_COLUMN, PATIENT_COLUMN, Row, Table, columns_named, image_column, only_column
from trainable.data.splitting.split_lists import split_column

_EDEMA = re.compile(r"edema|oedema|\bdme\b")
_RETINOPATHY = re.compile(r"retinopathy|\bdr\b|^diagnosis$|^level$|^grade$")
_GRADE = re.compile(r"[0-4](\.0)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeColumns:
    """Where each known column stands, from 0."""

    image: int
    grades: tuple[int | None, ...]
    """Column of each task; None where the table has none."""
    patient: int | None = None
    split: int | None = None
    has_header: bool = True

    def described(self, table: Table) -> str:
        """Sentence for the user on how the columns were read."""
        grades = dict(zip(TASK_NAMES, self.grades, strict=True))
        columns = {"photograph": self.image, **grades, "patient": self.patient, "split": self.split}
        return table.described(columns, has_header=self.has_header)

    def rows(self, table: Table) -> Sequence[Row]:
        return table.body if self.has_header else table.rows


def grade_columns(table: Table, photographs: PictureKeys) -> GradeColumns | None:
    """The columns of a table of grades; None when it is none.

    Raises:
        BadFileError: two columns could be the photograph, a grade or the patient, or the header is missing.
    """
    if not table.rows:
        return None
    images = columns_named(table.header, IMAGE_COLUMN)
    edema = columns_named(table.header, _EDEMA)
    retinopathy = [at for at in columns_named(table.header, _RETINOPATHY) if at not in edema]
    if not images or not (edema or retinopathy):
        return _without_header(table, photographs)
    _refuse_a_column_a_grade(table, retinopathy)
    grades = tuple(
        only_column(table, found, f"the grade of {task}")
        for task, found in zip(TASK_NAMES, (retinopathy, edema), strict=True)
    )
    patient = only_column(table, columns_named(table.header, PATIENT_COLUMN), "the patient")
    split = split_column(table)
    others = [at for at in images if at not in (*grades, patient, split)]
    if not others:
        return None
    image = image_column(table, others, photographs)
    return GradeColumns(image=image, grades=grades, patient=patient, split=split)


def _refuse_a_column_a_grade(table: Table, retinopathy: Sequence[int]) -> None:
    """Raises BadFileError where a column is called as one of the grades: its 1 would be read as the grade mild."""
    if any(grade_in_words(table.header[at], "retinopathy") is not None for at in retinopathy):
        named = [name for name in table.header if grade_in_words(name, "retinopathy") is not None]
        raise BadFileError(
            f"has columns that are called as grades of retinopathy: {', '.join(map(repr, named))}",
            "Write one column, such as retinopathy, with the grade of each photograph, 0 to 4.",
        )


def _without_header(table: Table, photographs: PictureKeys) -> GradeColumns | None:
    """The columns of a table without a header: photograph, and grade of retinopathy."""
    named = photographs.named_among(table.header)
    # One column alone is a list of photographs.
    if not named or len(table.header) == 1:
        return None
    others = [at for at in range(len(table.header)) if at not in named]
    if len(named) == 1 and len(others) == 1 and all(len(row.cells) == len(table.header) for row in table.rows):
        grades = {row.cells[others[0]] for row in table.rows}
        is_graded = all(_GRADE.fullmatch(grade) for grade in grades if grade)
        # No grade above 1 may be no and yes.
        if is_graded and max(map(float, filter(None, grades)), default=0) > 1:
            columns: list[int | None] = [None] * len(TASK_NAMES)
            columns[TASK_NAMES.index("retinopathy")] = others[0]
            return GradeColumns(image=named[0], grades=tuple(columns), has_header=False)
    first = " ".join(table.header)[:60]
    raise BadFileError(
        f"has no header: its first row is {first!r}",
        "Put a line above it that names the columns, such as image,retinopathy.",
    )

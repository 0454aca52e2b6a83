"""Makes the figures and the table of results/README.md from results/benchmarks.json."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib import rc_context

from benchmarks import record
from benchmarks.report import markdown, picture
from benchmarks.searches.growth import growth_picture

BEGIN, END = "<!-- benchmarks: written by python -m benchmarks -->", "<!-- end of the benchmarks -->"

TITLES = {
    "benchmarks": "Ours beside its peers: medians, with the quartiles as a line",
    "driver": "A result, a proposal and the memory of the driver as trials add up, beside the stock ones",
}


def show(results: Path) -> Iterator[Path]:
    """Writes the files and yields each; none if nothing was measured."""
    rows = record.read(results / record.FILE)
    if not rows:
        return
    yield results / record.FILE
    claims = [claim for row in rows.values() for claim in row.claims]
    pictures = {"benchmarks": picture(claims), "driver": growth_picture(claims)}
    (results / "figures").mkdir(exist_ok=True)
    for name, figure in pictures.items():
        if figure is not None:
            with rc_context({"savefig.dpi": 110}):
                figure.savefig(results / "figures" / f"{name}.png")
            yield results / "figures" / f"{name}.png"
    if (results / "README.md").exists():
        drawn = [f"![{TITLES[name]}](figures/{name}.png)\n" for name, figure in pictures.items() if figure is not None]
        put_between(results / "README.md", "\n".join([markdown(rows), *drawn]))
        yield results / "README.md"


def put_between(path: Path, text: str) -> None:
    """Replaces the text between the two marks of the file; a file without them is left alone."""
    content = path.read_text()
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")

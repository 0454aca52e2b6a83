"""Writes docs/api.md, the page about Python, from the docstrings: python docs/api_page.py."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from trainable.predict import TrainedModel
from tuner import load, resume, search
from tuner.api.keywords import SearchOptions
from tuner.api.result import BestTrial, SearchResult
from tuner.search_options import search_parser

PAGE = Path(__file__).with_name("api.md")
OPTION_OF = {"limits": "limit"}
"""Keywords whose options have another name."""
HEAD = """# From Python

A search, its result and its network in a script or a notebook. The commands call the same functions.

```python
from tuner import load, resume, search

result = search("moe", data="path/to/data", trials=30)  # shows its progress; Ctrl-C or Stop saves all finished epochs
result.best  # configuration and metrics
result.to_pandas()  # one row for each trial
model = load("results/moe/<run>").model()  # also in another process, and later
print(model.predict("picture.jpg").in_words())
```

`import tuner` alone loads neither torch nor Ray. A wrong keyword or value raises ValueError with the sentence that the
command prints. A complete notebook: [examples/notebook.ipynb](../examples/notebook.ipynb). This page is made from the
docstrings by `python docs/api_page.py`.
"""


def page() -> str:
    parts = [HEAD, *map(of_function, (search, resume, load)), keywords()]
    parts += map(of_class, (SearchResult, BestTrial, TrainedModel))
    return "\n".join(parts)


def of_function(function: Any, *, owner: str = "", level: int = 2) -> str:
    signature = inspect.signature(function, eval_str=False)
    shown = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    names = [str(one) for one in shown if one.name not in ("self", "cls")]
    heading = f"{'#' * level} `{owner}{function.__name__}({', '.join(names)})`"
    return f"{heading}\n\n{text_of(function)}\n"


def of_class(kind: type) -> str:
    """Its docstring, its fields and properties as a list, and its methods."""
    members = [(name, member) for name, member in vars(kind).items() if not name.startswith("_")]
    listed = dict(fields_of(kind))
    listed |= {name: inspect.getdoc(member) or "" for name, member in members if is_property(member)}
    rows = "".join(f"- `{name}`: {escaped(' '.join(said.split()))}\n" for name, said in listed.items() if said)
    methods = [getattr(kind, name) for name, member in members if is_method(member)]
    own = "\n".join(of_function(method, owner=f"{kind.__name__}.", level=3) for method in methods)
    return f"## `{kind.__name__}`\n\n{text_of(kind)}\n\n{rows}" + (f"\n{own}" if own else "")


def keywords() -> str:
    """The keywords of `search` with the help of the options that they are, or with what is said of a keyword itself."""
    helped = {action.dest: action.help for action in search_parser()._actions}
    own = {name: " ".join(said.split()) for name, said in fields_of(SearchOptions)}
    said = {name: own.get(name) or helped[OPTION_OF.get(name, name)] for name in SearchOptions.__annotations__}
    rows = [f"| `{name}` | {escaped(text)} |\n" for name, text in said.items()]
    head = "## Keywords of `search`\n\nThe options of `vision-tuner search`; `pinned` and `ranges` are `--set`.\n"
    return f"{head}\n| keyword | meaning |\n| --- | --- |\n{''.join(rows)}"


def text_of(described: Any) -> str:
    """A docstring with its sections as paragraphs."""
    text = inspect.getdoc(described) or ""
    lines = [f"**{line[:-1]}.**\n" if line in SECTIONS else listed(line) for line in text.splitlines()]
    return escaped("\n".join(lines))


SECTIONS = ("Args:", "Returns:", "Raises:")


def listed(line: str) -> str:
    """An item of a section begins with four spaces."""
    if line.startswith("    ") and not line.startswith("     "):
        name, colon, said = line.strip().partition(": ")
        return f"- `{name}`: {said}" if colon and name.isidentifier() else line.strip()
    return line.strip()


def escaped(text: str) -> str:
    """A name in angle brackets would be read as HTML."""
    return text.replace("<", r"\<")


def fields_of(kind: type) -> Iterator[tuple[str, str]]:
    """The fields of a dataclass and the text under each."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    for node, following in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            yield node.target.id, following.value.value


def is_property(member: object) -> bool:
    return isinstance(member, property) or type(member).__name__ == "cached_property"


def is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, classmethod)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

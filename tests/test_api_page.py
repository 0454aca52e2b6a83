"""docs/api.md is what the docstrings say."""

import runpy
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_page_is_up_to_date():
    written = (DOCS / "api.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(DOCS / "api_page.py"))["page"](), "run: python docs/api_page.py"

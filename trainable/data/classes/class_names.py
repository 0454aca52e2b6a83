"""Names that are likely to mean one class: `rust` and `Rust `, `late blight` and `late_blight`, `1` and `01`."""

import re
from collections.abc import Iterable


def twin_names(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two that differ but for case, spaces, underscores, dashes and zeros; None where all are apart."""
    first: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[\s_-]+", " ", name.casefold()).strip()
        form = f"{float(plain):g}" if re.fullmatch(r"[0-9]+(\.[0-9]+)?", plain) else plain
        twin = first.setdefault(form, name)
        if twin != name:
            return twin, name
    return None

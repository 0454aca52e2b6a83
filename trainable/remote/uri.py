"""URIs of folders, such as `s3://bucket/results`; what may stand in them."""

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

_SECRET = re.compile(r"key|secret|token|password|credential|signature", re.IGNORECASE)


def is_uri(text: object) -> bool:
    return isinstance(text, str) and re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


def child_uri(uri: str, *names: str) -> str:
    """URI of a file or folder in the folder; keeps its query, such as an endpoint."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(path="/".join([parts.path.rstrip("/"), *names])))


def parent_uri(uri: str) -> tuple[str, str]:
    """URI of the parent folder, and the name in it."""
    parts = urlsplit(uri)
    folder, _, name = parts.path.rstrip("/").rpartition("/")
    return urlunsplit(parts._replace(path=folder or "/")), name


def check_uri(uri: str, option: str) -> None:
    """Raises ValueError for a URI without a path, one that no other process reads, or one with credentials, which the
    results would show to everyone."""
    parts = urlsplit(uri)
    if parts.scheme == "memory":
        raise ValueError(
            f"{option} is {uri}, which ends with the process that writes it; give s3://, gs://, abfs:// or a folder."
        )
    hidden = parts.password is not None or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))
    if hidden or (parts.username is not None and parts.scheme.startswith("s3")):
        raise ValueError(
            f"{option} holds credentials, which the records of the search would show; leave them out of the address, "
            "and set them in the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if not (parts.netloc or parts.path.strip("/")):
        raise ValueError(f"{option} is {uri}; give a folder too, such as s3://bucket/results.")

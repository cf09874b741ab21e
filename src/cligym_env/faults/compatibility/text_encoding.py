"""A source or data file was saved in another encoding, or with other line ends."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cligym_env.core import FaultFamily
from cligym_env.faults._common import Draft, Family, Look, q, shuffled

__all__ = ["create"]

_HINT = "Every letter is there for the eye, but not for a program that reads the bytes."


def _drafts(look: Look, rng: Random) -> Iterator[Draft]:
    for path, name in shuffled(look.sources.items(), rng):
        text = look.text(path)
        if not look.partly(name) or text.isascii() or "coding" in text[:200]:
            continue
        encoding = rng.choice(["ISO-8859-1", "CP1252", "ISO-8859-15"])
        try:
            if text.encode(encoding).decode(encoding) != text:
                continue
        except UnicodeError:
            encoding = "UTF-16"
        yield _saved(path, "UTF-8", encoding)
    data = look.data_files
    for path in shuffled(data, rng):
        if not look.text(path) or look.data(path).startswith(b"\xef\xbb\xbf"):
            continue
        parameters = {"file": path, "broken": "byte order mark"}
        yield Draft(
            [f"sed -i '1s/^/\\xef\\xbb\\xbf/' {q(path)}"],
            [f"sed -i '1s/^\\xef\\xbb\\xbf//' {q(path)}"],
            _HINT,
            parameters,
        )


def _saved(path: str, right: str, wrong: str) -> Draft:
    def convert(source: str, target: str) -> str:
        # Through a variable of the file's own folder, so that owner and mode stay.
        new = q(f"{path}.new")
        return f"iconv -f {source} -t {target} {q(path)} > {new} && cat {new} > {q(path)} && rm {new}"

    return Draft([convert(right, wrong)], [convert(wrong, right)], _HINT, {"file": path, "broken": wrong})


def create() -> FaultFamily:
    """Give the family."""
    return Family("text-encoding", "compatibility", _drafts)

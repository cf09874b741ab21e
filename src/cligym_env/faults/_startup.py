"""The interpreter's own start-up file, Debian's ``sitecustomize``: a block of lines put at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cligym_env.faults._common import Draft, Look, q

__all__ = ["block"]

FILE = "/etc/python3.11/sitecustomize.py"


def block(
    look: Look, title: str, lines: Sequence[str], hint: str, parameters: Mapping[str, str]
) -> Draft | None:
    """Give the draft that appends a block, and takes it out again.

    Args:
        look: the gold; without that file in it there is no draft.
        title: a comment, the block's first line.
        lines: Python, below the title.
        hint: of the draft.
        parameters: of the draft.
    """
    if look.node(FILE).kind != "file" or title in look.text(FILE):
        return None
    text = "\n".join([f"# {title}", *lines])
    return Draft(
        [f"cat >> {FILE} <<'EOF'\n{text}\nEOF"],
        [f"sed -i {q(f'/^# {title}$/,$d')} {FILE}"],
        hint,
        parameters,
    )

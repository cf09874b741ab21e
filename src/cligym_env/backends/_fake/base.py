"""The fake's base image: the few paths of a Debian that tests look at."""

from __future__ import annotations

from cligym_env.backends._fake.disk import Disk, Node

__all__ = ["BASE", "BASE_ENVIRON"]

BASE_ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}

_PASSWD = b"""root:x:0:0:root:/root:/bin/bash
dev:x:1000:1000::/home/dev:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""


def _file(text: bytes, mode: int = 0o644) -> Node:
    return Node("file", mode, data=text)


BASE = Disk(
    {
        **dict.fromkeys(
            ("/etc", "/etc/default", "/etc/skel", "/home", "/opt", "/srv", "/var"), Node("dir")
        ),
        **dict.fromkeys(
            ("/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/share/base-files"), Node("dir")
        ),
        **dict.fromkeys(("/home/dev", "/testbed"), Node("dir", 0o755, 1000, 1000)),
        "/root": Node("dir", 0o700),
        "/tmp": Node("dir", 0o1777),
        "/bin": Node("link", 0o777, target="usr/bin"),
        "/usr/bin/bash": _file(b"\x7fELF", 0o755),
        "/etc/default/useradd": _file(b"SHELL=/bin/sh\n"),
        "/etc/skel/.bashrc": _file(b"# nothing\n"),
        "/etc/passwd": _file(_PASSWD),
        "/etc/group": _file(b"root:x:0:\ndev:x:1000:\n"),
        "/etc/shadow": _file(b"root:*::0:::::\n", 0o640),
        "/etc/os-release": Node("link", 0o777, target="../usr/lib/os-release"),
        "/usr/lib/os-release": _file(b"ID=debian\n"),
        "/usr/share/base-files/info.dir": _file(b""),
    }
)

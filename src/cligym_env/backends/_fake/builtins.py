"""The commands the fake's shell knows."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import replace

from cligym_env.backends._fake.disk import Node
from cligym_env.backends._fake.interpreter import Builtin, Interpreter, ShellEnded, Streams, unescape

__all__ = ["BUILTINS"]

_KINDS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}
_SIGNALS = {"-9": 9, "-KILL": 9, "-TERM": 15, "-15": 15, "-INT": 2, "-HUP": 1}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _say(streams: Streams, text: str) -> int:
    streams.err += _bytes(f"{text}\n")
    return 1


def _split(words: Sequence[str]) -> tuple[str, list[str]]:
    """Part single-letter options from operands."""
    options = "".join(word[1:] for word in words if word.startswith("-") and len(word) > 1)
    return options, [word for word in words if not word.startswith("-") or word == "-"]


def _cd(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    state = shell.state
    path = state.disk.resolve(state.path(words[0] if words else state.variables.get("HOME", "/")))
    node = state.disk.nodes.get(path)
    if node is None or node.kind != "dir":
        return _say(streams, f"bash: cd: {words[0] if words else path}: No such file or directory")
    state.cwd = path
    return 0


def _pwd(shell: Interpreter, _: Sequence[str], streams: Streams) -> int:
    streams.out += _bytes(f"{shell.state.cwd}\n")
    return 0


def _echo(_: Interpreter, words: Sequence[str], streams: Streams) -> int:
    no_end = bool(words) and words[0] == "-n"
    streams.out += _bytes(" ".join(words[no_end:]) + ("" if no_end else "\n"))
    return 0


def _printf(_: Interpreter, words: Sequence[str], streams: Streams) -> int:
    form, values = unescape(words[0]) if words else "", list(words[1:])
    n_fields = form.count("%s")
    while True:
        text = form
        for _field in range(n_fields):
            text = text.replace("%s", values.pop(0).replace("%", "\0") if values else "", 1)
        streams.out += _bytes(text.replace("\0", "%") if n_fields else text)
        if not values or not n_fields:
            return 0


def _cat(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    status = 0
    for name in words or ["-"]:
        node = shell.state.disk.at(shell.state.path(name))
        if name == "-":
            streams.out += streams.stdin
        elif node is None or node.kind != "file":
            status = _say(streams, f"cat: {name}: No such file or directory")
        elif shell.state.uid and not node.mode & 0o004 and shell.state.uid != node.uid:
            status = _say(streams, f"cat: {name}: Permission denied")
        else:
            streams.out += node.data
    return status


def _ls(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    options, names = _split(words)
    disk, status = shell.state.disk, 0
    for name in sorted(names) or ["."]:
        path = disk.resolve(shell.state.path(name))
        node = disk.nodes.get(path)
        if node is None:
            _say(streams, f"ls: cannot access '{name}': No such file or directory")
            status = 2
            continue
        found = disk.names(path) if node.kind == "dir" and "d" not in options else [name]
        shown = [one for one in found if not one.startswith(".") or "a" in options.lower()]
        heading = f"{name}:\n" if len(names) > 1 else ""
        gap = "\n" if heading and name != max(names) else ""
        streams.out += _bytes(heading + "".join(f"{one}\n" for one in shown) + gap)
    return status


def _stat(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    if words[:1] != ["-c"]:
        return _say(streams, "stat: the fake's shell wants -c FORMAT")
    for name in words[2:]:
        node = shell.state.disk.at(shell.state.path(name), last=False)
        if node is None:
            return _say(streams, f"stat: cannot statx '{name}': No such file or directory")
        kind = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}.get(
            node.kind, stat.S_IFIFO
        )
        line = words[1].replace("%A", stat.filemode(kind | node.mode)).replace("%a", f"{node.mode:o}")
        line = line.replace("%u", str(node.uid)).replace("%g", str(node.gid))
        streams.out += _bytes(line.replace("%s", str(len(node.data))).replace("%n", name) + "\n")
    return 0


def _head(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    if words[:1] != ["-c"]:
        return _say(streams, "head: the fake's shell wants -c BYTES")
    n_bytes, data = int(words[1]), streams.stdin
    if words[2:] == ["/dev/zero"]:
        data = bytes(n_bytes)
    elif words[2:]:
        node = shell.state.disk.at(shell.state.path(words[2]))
        data = node.data if node else b""
    streams.out += data[:n_bytes]
    return 0


def _wc(_: Interpreter, words: Sequence[str], streams: Streams) -> int:
    if words != ["-c"]:
        return _say(streams, "wc: the fake's shell wants -c and standard input")
    streams.out += _bytes(f"{len(streams.stdin)}\n")
    return 0


def _rm(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    options, names = _split(words)
    disk = shell.state.disk
    for name in names:
        path = disk.resolve(shell.state.path(name), last=False)
        node = disk.nodes.get(path)
        if node is None and "f" not in options:
            return _say(streams, f"rm: cannot remove '{name}': No such file or directory")
        if node is not None and node.kind == "dir" and "r" not in options.lower():
            return _say(streams, f"rm: cannot remove '{name}': Is a directory")
        disk.remove(path)
    return 0


def _touch(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    state = shell.state
    for name in words:
        if state.disk.at(state.path(name)) is None:
            state.disk.write(state.path(name), b"", mode=0o644, owner=(state.uid, state.gid))
    return 0


def _mkdir(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    mode = 0o755
    if words[:1] == ["-m"]:
        mode, words = int(words[1], 8), words[2:]
    options, names = _split(words)
    disk, owner = shell.state.disk, (shell.state.uid, shell.state.gid)
    for name in names:
        path = disk.resolve(shell.state.path(name))
        if path in disk.nodes and "p" not in options:
            return _say(streams, f"mkdir: cannot create directory '{name}': File exists")
        if path.rpartition("/")[0] and path.rpartition("/")[0] not in disk.nodes and "p" not in options:
            return _say(streams, f"mkdir: cannot create directory '{name}': No such file or directory")
        if path not in disk.nodes:
            disk.place(path, Node("dir", mode, *owner), owner=owner)
    return 0


def _ln(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    options, names = _split(words)
    disk, state = shell.state.disk, shell.state
    target, name = names[0], names[-1]
    if "f" in options:
        disk.remove(disk.resolve(state.path(name), last=False))
    if disk.at(state.path(name), last=False) is not None:
        return _say(streams, f"ln: failed to create link '{name}': File exists")
    node = Node("link", 0o777, state.uid, state.gid, target=target)
    if "s" not in options:
        found = disk.at(state.path(target))
        if found is None:
            return _say(streams, f"ln: failed to access '{target}': No such file or directory")
        node = found
    disk.place(state.path(name), node)
    return 0


def _mkfifo(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    for name in words:
        shell.state.disk.place(shell.state.path(name), Node("other", 0o644))
    return 0


def _chmod(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    mode, *names = words
    if not mode.isdigit():
        return _say(streams, f"chmod: the fake's shell takes octal modes only, not '{mode}'")
    return _restate(shell, names, streams, mode=int(mode, 8))


def _chown(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    owner, *names = words
    uid, _, gid = owner.partition(":")
    return _restate(shell, names, streams, uid=int(uid), **({"gid": int(gid)} if gid else {}))


def _restate(shell: Interpreter, names: Sequence[str], streams: Streams, **fields: int) -> int:
    disk = shell.state.disk
    for name in names:
        path = disk.resolve(shell.state.path(name))
        if path not in disk.nodes:
            return _say(streams, f"cannot access '{name}': No such file or directory")
        disk.nodes[path] = replace(disk.nodes[path], **fields)  # type: ignore[arg-type]
    return 0


def _test(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    match [word for word in words if word != "]"]:
        case ["-e" | "-f" | "-d" | "-L" as kind, name]:
            node = shell.state.disk.at(shell.state.path(name), last=kind != "-L")
            wanted = {"-f": "file", "-d": "dir", "-L": "link"}.get(kind)
            return int(node is None or (wanted is not None and node.kind != wanted))
        case ["-n", text] | [text]:
            return int(not text)
        case ["-z", text]:
            return int(bool(text))
        case [left, "=" | "==", right]:
            return int(left != right)
        case [left, "!=", right]:
            return int(left == right)
        case _:
            return 2


def _exit(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    code = words[0] if words else str(shell.state.status)
    raise ShellEnded(int(code) & 255 if code.isdigit() else 2)


def _exec(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    if not words:
        return 0
    raise ShellEnded(shell.call(words, streams))


def _kill(_: Interpreter, words: Sequence[str], streams: Streams) -> int:
    if words and words[-1] == "2":
        raise ShellEnded(128 + _SIGNALS.get(words[0], 15))
    return _say(streams, "bash: kill: No such process")


def _export(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    for word in words:
        name, equals, value = word.partition("=")
        shell.state.exported.add(name)
        if equals:
            shell.state.variables[name] = value
    return 0


def _unset(shell: Interpreter, words: Sequence[str], _: Streams) -> int:
    for name in words:
        shell.state.variables.pop(name, None)
        shell.state.exported.discard(name)
    return 0


def _env(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    end = "\0" if "-0" in words else "\n"
    streams.out += _bytes("".join(f"{name}={value}{end}" for name, value in shell.state.environ.items()))
    return 0


def _id(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    uid, gid = shell.state.uid, shell.state.gid
    shown = {"-u": str(uid), "-g": str(gid)}.get(words[0] if words else "", f"uid={uid} gid={gid}")
    streams.out += _bytes(f"{shown}\n")
    return 0


def _sleep(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    try:
        shell.state.sleep(sum(float(word) for word in words))
    except ValueError:
        return _say(streams, f"sleep: invalid time interval: {words}")
    return 0


def _bash(shell: Interpreter, words: Sequence[str], streams: Streams) -> int:
    state = shell.state
    kept = (state.cwd, dict(state.variables), set(state.exported), state.status)
    try:
        return shell.run(words[1] if words[:1] == ["-c"] else streams.stdin.decode(), streams)
    except ShellEnded as end:
        return end.exit_code
    finally:
        state.cwd, state.variables, state.exported, state.status = kept


def _fails(_: Interpreter, __: Sequence[str], ___: Streams) -> int:
    return 1


def _nothing(_: Interpreter, __: Sequence[str], ___: Streams) -> int:
    return 0


BUILTINS: dict[str, Builtin] = {
    "true": _nothing,
    "false": _fails,
    **dict.fromkeys((":", "set", "trap", "umask", "shopt", "wait", "read", "alias", "flush"), _nothing),
    **dict.fromkeys(("[", "test"), _test),
    **dict.fromkeys(("bash", "sh"), _bash),
    "cd": _cd,
    "pwd": _pwd,
    "exit": _exit,
    "exec": _exec,
    "export": _export,
    "unset": _unset,
    "echo": _echo,
    "printf": _printf,
    "cat": _cat,
    "ls": _ls,
    "env": _env,
    "id": _id,
    "rm": _rm,
    "touch": _touch,
    "mkdir": _mkdir,
    "ln": _ln,
    "mkfifo": _mkfifo,
    "stat": _stat,
    "head": _head,
    "wc": _wc,
    "chmod": _chmod,
    "chown": _chown,
    "kill": _kill,
    "sleep": _sleep,
}
"""Name → what it does."""

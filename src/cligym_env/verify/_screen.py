"""A first look at a policy's own source file: may it run in one process with the assertions?

Code under test shares its process with the tests, so a payload in the very file that was broken could
patch the reporter, forge records or leave. A repair needs no such means. Here a file passes only if
it stays within the vocabulary of gold's version of it: the same imports (or a few harmless ones), no
new way to reach the interpreter, the operating system, frames or other objects' internals, no new
special methods (an object that equals everything satisfies any assertion).
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["objection"]

_MAX_GROWTH_BYTES = 32_768

_MODULES = frozenset(
    {"__future__", "abc", "bisect", "collections", "collections.abc", "copy", "dataclasses", "enum"}
    | {"functools", "itertools", "math", "numbers", "re", "string", "textwrap", "typing"}
)
"""Imports any file may have; what is taken from them is held to the vocabulary as well."""

_BUILTINS = frozenset(
    {"abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "chr", "classmethod", "complex"}
    | {"dict", "divmod", "enumerate", "filter", "float", "format", "frozenset", "hash", "hex", "int"}
    | {"isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "oct"}
    | {"ord", "pow", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted"}
    | {"staticmethod", "str", "sum", "super", "tuple", "zip", "True", "False", "None", "NotImplemented"}
    | {"ArithmeticError", "AssertionError", "AttributeError", "EOFError", "Exception", "IndexError"}
    | {"KeyError", "LookupError", "NotImplementedError", "OSError", "OverflowError", "RuntimeError"}
    | {"StopIteration", "TypeError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError"}
    | {"ValueError", "ZeroDivisionError"}
)

_METHODS = frozenset(
    name
    for kind in (str, bytes, bytearray, list, dict, set, frozenset, tuple, int, float)
    for name in dir(kind)
    if not name.startswith("_") and name not in {"format", "format_map"}
)

_SAFE_FROM = frozenset(
    {
        "ABC",
        "abstractmethod",
        "bisect_left",
        "bisect_right",
        "deque",
        "defaultdict",
        "OrderedDict",
        "namedtuple",
    }
    | {"Counter", "Mapping", "Sequence", "Iterable", "Iterator", "dataclass", "field", "Enum", "IntEnum"}
    | {
        "wraps",
        "partial",
        "lru_cache",
        "cache",
        "reduce",
        "chain",
        "islice",
        "repeat",
        "takewhile",
        "dropwhile",
    }
    | {"zip_longest", "groupby", "accumulate", "product", "count", "cycle", "compile", "match", "fullmatch"}
    | {
        "search",
        "sub",
        "findall",
        "finditer",
        "escape",
        "IGNORECASE",
        "MULTILINE",
        "DOTALL",
        "VERBOSE",
        "ASCII",
    }
    | {"floor", "ceil", "sqrt", "log", "isnan", "isinf", "gcd", "inf", "nan", "copy", "deepcopy", "dedent"}
    | {
        "ascii_letters",
        "digits",
        "hexdigits",
        "annotations",
        "Any",
        "Optional",
        "Union",
        "List",
        "Dict",
        "Tuple",
    }
    | {
        "Set",
        "Callable",
        "Type",
        "cast",
        "NamedTuple",
        "TYPE_CHECKING",
        "overload",
        "group",
        "groups",
        "start",
    }
    | {"end", "span"}
)


def objection(source: bytes, gold: bytes) -> str:
    """Why a source file may not run with the tests; empty when it may.

    Args:
        source: the policy's file.
        gold: gold's version of it; empty where gold has none.
    """
    if len(source) > len(gold) + _MAX_GROWTH_BYTES:
        return "much larger than gold's version"
    try:
        ours, theirs = _read(gold), _read(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "cannot be parsed"
    defined = theirs.bound | ours.bound
    checks = (
        ("imports {}", theirs.imports - ours.imports - _safe_imports(theirs.imports)),
        ("uses the name {}", theirs.loaded - ours.loaded - defined - _BUILTINS),
        ("rebinds {}", (theirs.bound - ours.bound) & _FORBIDDEN_BINDINGS),
        ("uses the attribute {}", theirs.attributes - ours.attributes - _METHODS - _SAFE_FROM - theirs.own),
        ("defines {}", theirs.special - ours.special),
        ("uses {} in a new way", theirs.reaches - ours.reaches),
    )
    for text, found in checks:
        if found:
            return text.format(_shown(min(found)))
    return ""


_FORBIDDEN_BINDINGS = frozenset(dir(builtins)) | {"pytest"}


def _shown(name: str) -> str:
    return name if len(name) < 80 else name[:77] + "..."


def _safe_imports(imports: set[str]) -> set[str]:
    """Of ``module`` and ``module:name``, those that give nothing to reach further with."""
    safe = set()
    for one in imports:
        module, colon, name = one.partition(":")
        if module in _MODULES and (not colon or name in _SAFE_FROM):
            safe.add(one)
    return safe


@dataclass(slots=True)
class _Vocabulary:
    """What a file's code says.

    Attributes:
        imports: ``module`` or ``module:name``, relative ones with their dots.
        loaded: names read; bound: names it gives a meaning to.
        attributes: attribute names read, written or matched; own: those it sets on ``self``.
        special: special methods and names it defines.
        reaches: uses of imported modules and of dangerous builtins, as syntax.
    """

    imports: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    special: set[str] = field(default_factory=set)
    reaches: set[str] = field(default_factory=set)


def _read(source: bytes) -> _Vocabulary:
    tree = ast.parse(source)
    found = _Vocabulary()
    gates = _gates(tree)
    for node in ast.walk(tree):
        _note(node, found)
    for reach in _reaches(tree, gates):
        found.reaches.add(reach)
    found.own = {name for name in found.own if not name.startswith("__")}
    return found


def _note(node: ast.AST, found: _Vocabulary) -> None:
    match node:
        case ast.Import(names=names):
            found.imports |= {name.name for name in names}
            found.bound |= {(name.asname or name.name).split(".")[0] for name in names}
        case ast.ImportFrom(module=module, names=names, level=level):
            found.imports |= {f"{'.' * level}{module or ''}:{name.name}" for name in names}
            found.bound |= {name.asname or name.name for name in names}
        case ast.Name(id=name, ctx=ast.Load()):
            found.loaded.add(name)
        case ast.Attribute(value=value, attr=attribute, ctx=context):
            found.attributes.add(attribute)
            if isinstance(context, ast.Store) and isinstance(value, ast.Name) and value.id == "self":
                found.own.add(attribute)
        case ast.MatchClass(kwd_attrs=names):
            found.attributes |= set(names)
        case _:
            _note_bindings(node, found)


def _note_bindings(node: ast.AST, found: _Vocabulary) -> None:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            _bind(name, found)
            found.own.add(name)
        case ast.Name(id=name) | ast.arg(arg=name) | ast.MatchMapping(rest=str(name)):
            _bind(name, found)
        case (
            ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name))
        ):
            _bind(name, found)
        case _:
            pass
    if isinstance(node, ast.ClassDef) and any(word.arg == "metaclass" for word in node.keywords):
        found.special.add("metaclass")


def _bind(name: str, found: _Vocabulary) -> None:
    found.bound.add(name)
    if name.startswith("__"):
        found.special.add(name)


def _gates(tree: ast.AST) -> set[str]:
    """Names through which code reaches out: modules that are not harmless, dangerous builtins."""
    gates = {
        name for name in dir(builtins) if name not in _BUILTINS and not name.endswith(("Error", "Warning"))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            gates |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module not in _MODULES:
            gates |= {name.asname or name.name for name in node.names}
    return gates


def _reaches(tree: ast.AST, gates: set[str]) -> Iterator[str]:
    """Each use of a gate, with all that hangs on it: an attribute chain, a call with its arguments."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in gates:
            top: ast.AST = node
            while isinstance(parents.get(top), ast.Attribute):
                top = parents[top]
            parent = parents.get(top)
            if isinstance(parent, ast.Call) and node.id in dir(builtins):
                top = parent
            yield _phrase(top, parent)


def _phrase(node: ast.AST, parent: ast.AST | None) -> str:
    """The use as source text; a bare name that is neither called nor followed says where it goes."""
    text = ast.unparse(node)
    if isinstance(node, ast.Name) and isinstance(parent, ast.Assign | ast.keyword | ast.Return | ast.Dict):
        return f"{text} in {ast.unparse(parent)}"
    if isinstance(node, ast.Name) and isinstance(parent, ast.Call) and parent.func is not node:
        return f"{text} in {ast.unparse(parent)}"
    return text

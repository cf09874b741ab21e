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
import re
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


_REFLECTIVE = frozenset({"vars", "globals", "locals", "eval", "exec", "compile", "__import__"})
_REFLECTIVE_METHODS = frozenset({"import_module", "attrgetter", "methodcaller", "import_string"})
_BY_NAME = frozenset({"getattr", "setattr", "delattr"})
"""Calls that reach whatever a string names; a file that holds one may get no new strings."""

_NARROW = frozenset(
    {"all", "any", "bool", "dict", "enumerate", "float", "frozenset", "int", "isinstance", "len", "list"}
    | {"max", "min", "range", "reversed", "set", "sorted", "sum", "tuple", "zip"}
    | {
        "add",
        "append",
        "clear",
        "copy",
        "count",
        "discard",
        "extend",
        "get",
        "index",
        "insert",
        "items",
        "keys",
    }
    | {
        "lower",
        "pop",
        "remove",
        "setdefault",
        "sort",
        "startswith",
        "endswith",
        "strip",
        "update",
        "values",
    }
)
_COMPARING = re.compile(
    r"__(eq|ne|lt|le|gt|ge|bool|len|contains|hash|instancecheck|subclasscheck|getattr|getattribute|class"
    r"|class_getitem|init_subclass|set_name|prepare|del|new|call)__"
)
_ANNOTATION = re.compile(r"[\w.\[\], |'\"]*")
_FORBIDDEN_BINDINGS = frozenset(dir(builtins)) | {"pytest"}


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
    narrow = ours.reflective
    names, attributes = (_NARROW, _NARROW) if narrow else (_BUILTINS, _METHODS | _SAFE_FROM)
    defined = theirs.bound | ours.bound
    checks = (
        ("imports {}", theirs.imports - ours.imports - _safe_imports(theirs.imports)),
        ("uses the name {}", theirs.loaded - ours.loaded - defined - names),
        ("rebinds {}", (theirs.bound - ours.bound) & _FORBIDDEN_BINDINGS),
        ("uses the attribute {}", theirs.attributes - ours.attributes - ours.methods - attributes),
        ("uses the attribute {} of itself", theirs.own - ours.own - ours.attributes - theirs.methods),
        ("defines {}", theirs.special - ours.special),
        ("annotates with {}", {text for text in theirs.annotations - ours.annotations if _acts(text)}),
        ("uses {} in a new way", theirs.reaches - ours.reaches),
        ("holds the new string {}", theirs.strings - ours.strings if narrow else set()),
    )
    for text, found in checks:
        if found:
            return text.format(_shown(min(found)))
    return ""


def _shown(text: str) -> str:
    text = ascii(text)[1:-1]
    return text if len(text) < 80 else text[:77] + "..."


def _acts(annotation: str) -> bool:
    """Whether an annotation could do something when a library evaluates it."""
    return "__" in annotation or _ANNOTATION.fullmatch(annotation) is None


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
        reflective: whether it calls what reaches whatever a string names.
        attributes: attribute names used on anything but ``self`` and ``cls``.
        own: attribute names used on those; methods: functions and fields its classes have.
        special: special methods and names it defines, those that compare with all they say.
        annotations: annotations, as source.
        reaches: uses of imported names and of dangerous builtins, as source.
        strings: string and bytes constants.
    """

    imports: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    reflective: bool = False
    attributes: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)
    special: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    reaches: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


def _read(source: bytes) -> _Vocabulary:
    tree = ast.parse(source)
    found = _Vocabulary()
    for node in ast.walk(tree):
        _note(node, found)
        _note_bindings(node, found)
        _note_class(node, found)
    found.reaches = set(_reaches(tree))
    return found


def _note(node: ast.AST, found: _Vocabulary) -> None:
    match node:
        case ast.Import(names=names):
            found.imports |= {name.name for name in names}
        case ast.ImportFrom(module=module, names=names, level=level):
            found.imports |= {f"{'.' * level}{module or ''}:{name.name}" for name in names}
        case ast.Name(id=name, ctx=ast.Load()):
            found.loaded.add(name)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attribute, ctx=context):
            found.own.add(attribute)
            if isinstance(context, ast.Store) and not attribute.startswith("__"):
                found.methods.add(attribute)
        case ast.Attribute(attr=attribute):
            found.attributes.add(attribute)
        case ast.MatchClass(kwd_attrs=names):
            found.attributes |= set(names)
        case ast.Call(func=ast.Name() | ast.Attribute()):
            found.reflective |= _is_reflective(node)
        case ast.Constant(value=str() | bytes() as value):
            found.strings.add(repr(value))
        case _:
            pass


def _is_reflective(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(), *_]) if name in _BY_NAME:
            return False  # says itself which attribute
        case ast.Call(func=ast.Name(id=name)):
            return name in _REFLECTIVE | _BY_NAME | _REFLECTIVE_METHODS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _REFLECTIVE_METHODS
        case _:
            return False


def _note_bindings(node: ast.AST, found: _Vocabulary) -> None:
    names: list[str | None] = []
    match node:
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            names = [(alias.asname or alias.name).split(".")[0] for alias in aliases]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            names = [name]
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            names = [name]
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.MatchMapping(rest=name):
            names = [name]
        case ast.arg(arg=name):
            names = [name]
        case _:
            pass
    found.bound |= {name for name in names if name}
    found.special |= {name for name in names if name and name.startswith("__")}
    for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        if isinstance(annotation, ast.AST):
            found.annotations.add(ast.unparse(annotation))


def _note_class(node: ast.AST, found: _Vocabulary) -> None:
    if not isinstance(node, ast.ClassDef):
        return
    for word in node.keywords:
        found.special.add(f"{node.name}({ast.unparse(word)})")
    for child in ast.walk(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("__"):
                said = ast.dump(child) if _COMPARING.fullmatch(name) else ""
                found.special.add(f"{node.name}.{name}{said}")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.methods.add(name)
            case ast.Name(id=name, ctx=ast.Store()) if not name.startswith("__"):
                found.methods.add(name)
            case ast.Assign(targets=targets) if any("__" in ast.unparse(target) for target in targets):
                found.special.add(f"{node.name}: {ast.unparse(child)}")
            case _:
                pass


def _gates(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Names through which code reaches out: modules and dangerous builtins, and other imported names."""
    strict = {name for name in dir(builtins) if name not in _BUILTINS and not name.endswith("Error")}
    mild: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            strict |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            into = strict if node.module is None else mild
            into.update(name.asname or name.name for name in node.names)
    return strict, mild


def _reaches(tree: ast.AST) -> Iterator[str]:
    """Each use of such a name with the attributes that hang on it; of a strict one, where it goes."""
    strict, mild = _gates(tree)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name) or node.id not in strict | mild:
            continue
        top: ast.AST = node
        while isinstance(parents.get(top), ast.Attribute):
            top = parents[top]
        if node.id in mild and top is node:
            continue
        text, parent = ast.unparse(top), parents.get(top)
        if _is_harmless(text):
            continue
        called = isinstance(parent, ast.Call) and parent.func is top
        whole = node.id in dir(builtins) or (node.id in strict and not called and top is node)
        yield f"{text} in {ast.unparse(parent)}" if whole and parent is not None else text


def _is_harmless(chain: str) -> bool:
    module, _, name = chain.rpartition(".")
    return module in _MODULES and name in _SAFE_FROM

"""Write the schema as TypeScript: ``python -m vit_attention_widget.protocol.typescript``.

The schema's source is read, not its objects, so that names and docstrings are kept: they become the
names and comments of the TypeScript. What the schema does not use is not understood, and raises.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

__all__ = ["OUTPUT", "typescript"]

OUTPUT = Path(__file__).parents[2] / "js" / "src" / "protocol" / "schema.ts"
"""The file in a checkout that this module writes."""

_SCHEMA = Path(__file__).parent / "schema"
_MODULES = ("selections", "tensors", "results", "requests")  # in this order
_LISTED = {
    "Selections": "SELECTIONS",
    "ExplorerSelections": "EXPLORER_SELECTIONS",
    "ExplorerResults": "EXPLORER_RESULTS",
    "Results": "RESULTS",
}
"""Tables of traits whose names the browser needs as a list."""

_HEAD = """\
// Written by `python -m vit_attention_widget.protocol.typescript` from
// `vit_attention_widget/protocol/schema/`: change that, and write this anew.

import type { Encoded, Tensor } from "./safetensors";
"""
_NAMES = {
    "bool": "boolean",
    "bytes": "DataView",
    "float": "number",
    "int": "number",
    "str": "string",
    "object": "unknown",
    "Html": "DataView",
    "Jpeg": "DataView",
}
_ARRAYS = {"Uint8": ("uint8", "Uint8Array"), "Uint16": ("uint16", "Uint16Array"),
           "Uint32": ("uint32", "Uint32Array"), "Float32": ("float32", "Float32Array"),
           "Float": ("float32 or float16", "Float32Array")}  # fmt: skip
_WIDTH = 100


def typescript() -> str:
    """The whole schema as TypeScript."""
    parts = [_HEAD]
    for module in _MODULES:
        tree = ast.parse((_SCHEMA / f"{module}.py").read_text("utf-8"))
        for node, doc in _documented(tree.body):
            if isinstance(node, ast.ClassDef) and _bases(node)[0] != "Generic":
                parts.append(_interface(node))
                if node.name in _LISTED:
                    parts.append(_list(_LISTED[node.name], _fields(node)))
            elif isinstance(node, ast.AnnAssign):
                name, value = ast.unparse(node.target), node.value
                assert value is not None
                parts.append(_comment(doc, "") + (_constant(name, value) or _alias(name, value)))
    return "\n".join(parts)


def _documented(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Statements with the docstrings below them."""
    for node, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        yield node, _text(below)


def _text(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
    return ""


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).partition("[")[0] for base in node.bases]


def _interface(node: ast.ClassDef) -> str:
    """A TypedDict as an interface."""
    fields = [(n, doc) for n, doc in _documented(node.body) if isinstance(n, ast.AnnAssign)]
    doc = _comment(" ".join((ast.get_docstring(node) or "").split()), "")
    if not fields:
        return f"{doc}export type {node.name} = Record<string, never>;\n"
    total = all(ast.unparse(keyword.value) == "True" for keyword in node.keywords)
    bases = [base for base in _bases(node) if base != "TypedDict"]
    extends = f" extends {', '.join(bases)}" if bases else ""
    lines = [f"{doc}export interface {node.name}{extends} {{\n"]
    for n, about in fields:
        about = " ".join(filter(None, (_axes(n.annotation), about)))
        name = ast.unparse(n.target) + ("" if total else "?")
        lines.append(_comment(about, "  ") + _broken(f"  {name}: {_type(n.annotation)};\n"))
    return "".join([*lines, "}\n"])


def _constant(name: str, value: ast.expr) -> str | None:
    """A number or names, which are no type."""
    match value:
        case ast.Constant(value=int(number)):
            return f"export const {name} = {number};\n"
        case ast.Tuple(elts=elements):
            return _list(name, [ast.literal_eval(element) for element in elements])
    return None


def _fields(node: ast.ClassDef) -> list[str]:
    """The names of a table's fields."""
    return [ast.unparse(n.target) for n in node.body if isinstance(n, ast.AnnAssign)]


def _list(name: str, names: list[str]) -> str:
    items = "".join(f'  "{item}",\n' for item in names)
    one = f"export const {name} = [{', '.join(_quoted(item) for item in names)}] as const;\n"
    return one if len(one) <= _WIDTH else f"export const {name} = [\n{items}] as const;\n"


def _alias(name: str, value: ast.expr) -> str:
    return _broken(f"export type {name} = {_type(value)};\n")


def _broken(line: str) -> str:
    """A union that is longer than a line, one alternative a line, as biome has it."""
    if len(line) <= _WIDTH or " | " not in line:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    sign = "=" if " = " in line else ":"
    head, _, union = line.rstrip(";\n").partition(f"{sign} ")
    items = "".join(f"\n{indent}| {item}" for item in union.split(" | "))
    return f"{head}{sign}{items};\n"


def _comment(text: str, indent: str) -> str:
    if not text:
        return ""
    text = re.sub(r"\bNone\b", "null", text.replace("``", "`"))
    if len(indent) + len(text) + 7 <= _WIDTH:
        return f"{indent}/** {text} */\n"
    lines = textwrap.wrap(text, _WIDTH - len(indent) - 3)
    return "".join(
        [f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"]
    )


def _axes(node: ast.expr) -> str:
    """What an array's annotation says, for the comment: ``uint8 [head, query, key].``."""
    match node:
        case ast.Subscript(
            value=ast.Name("Annotated"),
            slice=ast.Tuple([ast.Name(dtype), ast.Constant(value=str(axes))]),
        ):
            return f"{_ARRAYS[dtype][0]} [{axes}]."
        case ast.Subscript(value=ast.Name("dict"), slice=ast.Tuple([_, value])):
            return _axes(value)
    return ""


def _type(node: ast.expr) -> str:
    """A type expression in TypeScript."""
    match node:
        case ast.Constant(value=None):
            return "null"
        case ast.Name(name):
            return _NAMES.get(name, name)
        case ast.BinOp(left, ast.BitOr(), right):
            return f"{_type(left)} | {_type(right)}"
        case ast.Subscript(ast.Name(name), slice_):
            arguments = slice_.elts if isinstance(slice_, ast.Tuple) else [slice_]
            return _generic(name, arguments)
    raise NotImplementedError(f"{ast.unparse(node)} has no form in TypeScript yet.")


def _generic(name: str, arguments: list[ast.expr]) -> str:
    if name == "Literal":
        return " | ".join(_literal(argument) for argument in arguments)
    if name == "Annotated":
        return f"Tensor<{_ARRAYS[ast.unparse(arguments[0])][1]}>"
    types = [_type(argument) for argument in arguments]
    match name:
        case "list":
            return f"({types[0]})[]" if isinstance(arguments[0], ast.BinOp) else f"{types[0]}[]"
        case "tuple":
            return f"readonly [{', '.join(types)}]"
        case "dict" if types[0] == "string":
            return f"Record<string, {types[1]}>"
        case "dict":
            return f"Partial<Record<{types[0]}, {types[1]}>>"
        case "Asks":
            return f"{{ params: {types[0]}; buffer: {types[1]} }}"
        case "Encoded":
            return f"Encoded<{', '.join(t for t in types if t != 'null')}>"
    raise NotImplementedError(f"{name}[...] has no form in TypeScript yet.")


def _literal(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=bool(value)):
            return str(value).lower()
        case ast.Constant(value=str(text)):
            return _quoted(text)
    raise NotImplementedError(f"Literal[{ast.unparse(node)}] has no form in TypeScript yet.")


def _quoted(text: str) -> str:
    return f'"{text}"'


if __name__ == "__main__":
    OUTPUT.write_text(typescript(), "utf-8")

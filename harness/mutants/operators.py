"""What is changed in a module: cosmic-ray's operators, on the syntax tree. Nothing is written to a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED: tuple[type[ast.cmpop], ...] = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult), ast.Sub: (ast.Add,), ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Add,),
    ast.BitOr: (ast.BitAnd,), ast.BitAnd: (ast.BitOr,),
}  # fmt: skip
_SIGNS: dict[type[ast.unaryop], type[ast.unaryop]] = {ast.USub: ast.UAdd, ast.UAdd: ast.USub}
#: Comparisons are changed to so many others.
_OTHERS = 3


@dataclass(frozen=True)
class Mutant:
    """Node number `node` of the tree, in its change number `change`."""

    node: int
    change: int
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.line}: {self.before} → {self.after}"


def mutants_of(source: str) -> list[Mutant]:
    found = []
    for number, node in enumerate(_nodes(ast.parse(source))):
        before = ast.unparse(node)
        for change, other in enumerate(_changes(node)):
            told = _short(before), _short(ast.unparse(ast.copy_location(other, node)))
            found.append(Mutant(number, change, getattr(node, "lineno", 0), *told))
    return found


def mutated_tree(source: str, mutant: Mutant) -> ast.Module:
    tree = ast.parse(source)
    node = list(_nodes(tree))[mutant.node]
    other = list(_changes(node))[mutant.change]
    _Exchange(node, ast.copy_location(other, node)).visit(tree)
    return ast.fix_missing_locations(tree)


class _Exchange(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        found: ast.AST = self._new if node is self._old else self.generic_visit(node)
        return found


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """In a fixed order, without what only tells types and documentation."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_silent(child):
                yield from _nodes(child)


def _is_silent(node: ast.AST) -> bool:
    """A docstring, what is for the type checker, or names for others."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op]):
            yield from (ast.Compare(node.left, [other()], node.comparators) for other in _others(op))
        case ast.BinOp():
            for other in _COUNTED.get(type(node.op), ()):
                yield ast.BinOp(node.left, other(), node.right)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            yield ast.UnaryOp(_SIGNS[type(node.op)](), node.operand)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() as number):
            yield from (ast.Constant(number + step) for step in (1, -1))
        case ast.If() | ast.While() | ast.IfExp():
            yield from _otherwise(node)
        case ast.For():
            yield ast.For(node.target, ast.List([], ast.Load()), node.body, node.orelse)
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.AugAssign():
            yield ast.Pass()


def _others(op: ast.cmpop) -> list[type[ast.cmpop]]:
    if (opposite := _OPPOSITE.get(type(op))) is not None:
        return [opposite]
    place = _COMPARED.index(type(op))
    return [_COMPARED[(place + step) % len(_COMPARED)] for step in range(1, _OTHERS + 1)]


def _otherwise(node: ast.If | ast.While | ast.IfExp) -> Iterator[ast.AST]:
    """The condition turned round, where no other operator changes it already."""
    if not isinstance(node.test, ast.Compare | ast.UnaryOp):
        fields = dict(ast.iter_fields(node)) | {"test": ast.UnaryOp(ast.Not(), node.test)}
        yield type(node)(**fields)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."

"""The house keeps its shape: imports point one way, files stay small, the public names are the documented ones."""

import ast
import sys
from pathlib import Path

import pytest

import jacobian

PACKAGE = Path(jacobian.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

ORDER = [
    "errors", "kernel", "ops", "tracing", "shifts", "algebra", "plan", "bounds", "habit", "writing", "scripting",
    "clusters", "programs", "script", "place", "free", "glance", "played", "replay", "chain", "functional",
]  # fmt: skip
"""Each may import those before it."""

ALLOWED = {room: set(ORDER[:place]) for place, room in enumerate(ORDER)}
ALLOWED["backpropagation"] = set(ORDER)
ALLOWED["checking"] = {*ORDER, "expressions"}
ALLOWED["display"] = {*ORDER, "backpropagation", "checking"}
ALLOWED["expressions"] = {"errors", "kernel", "ops"}
ALLOWED["__main__"] = {*ALLOWED["display"], "expressions", "display", ""}
ALLOWED["__init__"] = {*ALLOWED["display"], "display"}

LAZY = {("kernel", "display"), ("chain", "display"), ("tracing", "display"), ("backpropagation", "display")}
"""Display may be imported by these inside a function: only when something is shown."""

MAX_LINES = 450

DOCUMENTED = {
    "Chain", "Jacobian", "backprop", "check", "compose", "finite_difference", "hessian", "jacobian", "ops", "primitive",
    "trace", "value_and_jacobian",
}  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def arrows(path: Path) -> list[tuple[str, int, bool]]:
    """What of the package a file imports: room, line, and whether that is inside a function."""
    tree = ast.parse(path.read_text())
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            targets = [f"{module}.{alias.name}" if module == "jacobian" else module for alias in node.names]
        else:
            continue
        ours = [target for target in targets if target.split(".")[0] == "jacobian"]
        found += [(".".join(target.split(".")[1:2]), node.lineno, id(node) in inner) for target in ours]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in ALLOWED, f"{room} has no place in the house"
    for target, line, inside_function in arrows(path):
        if target == room or target in ALLOWED[room]:
            continue
        assert inside_function, f"{path}:{line}: {room} imports {target or 'the package itself'}"
        assert (room, target) in LAZY, f"{path}:{line}: {room} imports {target or 'the package itself'}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path: Path) -> None:
    if path.name == "__main__.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        name = called.id if isinstance(called, ast.Name) else ""
        banned = {"print", "input", "breakpoint"} | ({"exec"} if path.name != "code.py" else set())  # it makes programs
        assert name not in banned, f"{path}:{node.lineno} calls {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_texts_are_read_as_threads_can(path: Path) -> None:
    if path.name == "syntax.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        read = isinstance(node, ast.Attribute) and node.attr == "parse" and ast.unparse(node.value) == "ast"
        assert not read, f"{path}:{node.lineno}: kernel/syntax.py reads texts of Python"


def test_every_documented_name_is_public_and_exists() -> None:
    assert set(jacobian.__all__) >= DOCUMENTED
    for name in jacobian.__all__:
        assert hasattr(jacobian, name)


def test_no_room_bears_the_name_of_a_public_function() -> None:
    rooms = {room_of(path) for path in FILES}
    assert not {name for name in jacobian.__all__ if name not in ("errors", "ops")} & rooms


def test_importing_the_package_loads_nothing_that_only_extras_bring() -> None:
    third_party = {"numpy", "opt_einsum"}
    standard = set(sys.stdlib_module_names)
    for path in FILES:
        tree = ast.parse(path.read_text())
        extra = {"scipy"} if "scipy_special" in path.parts else set()  # imported when SciPy has been
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                assert name.split(".")[0] in third_party | standard | extra | {"jacobian"}, f"{path}: {name}"

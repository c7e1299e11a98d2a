"""The direction of imports: a wing imports only what stands above it."""

import ast
from pathlib import Path

import pytest

import layercli

ROOT = Path(layercli.__file__).parent
WINGS = (
    "version", "runtime", "errors", "source", "schema", "layers", "config", "graph", "check", "json_schema", "importing", "script", "data", "formats", "engine", "runs",
    "distribution", "sweep", "plot", "reports", "workflows", "api", "commands", "cli", "__main__",
)  # fmt: skip
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def wing_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_wings(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names if name.startswith("layercli.")]
    return {part[1] for part in parts if part[1] in WINGS}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_wing_imports_only_what_stands_above_it(path):
    own = WINGS.index(wing_of(path))
    low = {wing for wing in imported_wings(ast.parse(path.read_text())) if WINGS.index(wing) > own}
    assert not low, f"{path.name} in {wing_of(path)} imports from {sorted(low)}"


def module_level_imports(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_load_only_where_they_are_used(path):
    heavy = {"keras", "tensorflow", "numpy", "sklearn", "pyarrow"}
    allowed = {"engine": heavy, "data": {"numpy"}, "formats": {"numpy"}}.get(wing_of(path), set())
    assert not (module_level_imports(ast.parse(path.read_text())) & heavy) - allowed


def test_models_are_loaded_in_keras_s_safe_mode_everywhere():
    loads = [
        (path.name, {word.arg: word.value for word in call.keywords})
        for path in MODULES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).startswith("keras.")
        and ast.unparse(call.func).endswith((".load_model", ".deserialize_keras_object"))
    ]
    assert len(loads) >= 3
    for name, words in loads:
        assert "safe_mode" not in words or ast.unparse(words["safe_mode"]) == "True", (
            name
        )  # it is Keras's default
    assert not [path for path in MODULES if "enable_unsafe" in path.read_text()]

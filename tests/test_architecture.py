"""Import rules that import-linter cannot express, and rules about calls of Keras."""

import ast
from functools import cache
from pathlib import Path

import layercli
from tests.conftest import LONG_FILES, TENSORFLOW_FILES

ROOT = Path(layercli.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = {"keras", "tensorflow", "numpy", "sklearn", "pyarrow"}
ALLOWED_AT_MODULE_LEVEL = {"engine": HEAVY, "data": {"numpy"}, "formats": {"numpy"}, "serving": {"numpy"}}


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a module; each is parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_level_imports(tree: ast.Module) -> set[str]:
    """The top-level packages that importing a module loads directly; import-linter does not know the level."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_heavy_packages_are_imported_only_in_functions():
    found = []
    for path in MODULES:
        module = path.relative_to(ROOT)
        heavy = module_level_imports(parse(path)) & HEAVY
        found += [(str(module), name) for name in heavy - ALLOWED_AT_MODULE_LEVEL.get(module.parts[0], set())]
    assert found == []


def test_models_are_loaded_in_safe_mode():
    loads = [
        (path.name, {keyword.arg: keyword.value for keyword in call.keywords})
        for path in MODULES
        for call in ast.walk(parse(path))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).startswith("keras.")
        and ast.unparse(call.func).endswith((".load_model", ".deserialize_keras_object"))
    ]
    assert [name for name, _ in loads] == ["assemble.py", "import_check.py"]  # neither loads a file
    for name, keywords in loads:  # safe_mode is True by default
        assert "safe_mode" not in keywords or ast.unparse(keywords["safe_mode"]) == "True", name
    assert not [path for path in MODULES if "enable_unsafe" in path.read_text()]


def test_dataclass_flags_are_written_only_to_differ_from_defaults():
    defaults = {"frozen": False, "slots": False, "kw_only": False, "order": False, "eq": True}
    flags = [
        (path.name, node.name, keyword.arg, ast.literal_eval(keyword.value))
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "dataclass"
        for keyword in decorator.keywords
    ]
    assert len(flags) >= 200
    assert [flag for flag in flags if defaults[flag[2]] == flag[3]] == []


def test_listed_test_files_exist():
    folder = Path(__file__).parent
    assert [name for name in (*TENSORFLOW_FILES, *LONG_FILES) if not (folder / name).exists()] == []

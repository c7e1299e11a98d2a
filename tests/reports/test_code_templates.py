"""The classes that `init` writes: valid Python, used in a training in `tests/workflows/test_custom_objects.py`."""

import ast

import pytest

from layercli.reports.code_templates import CODE_KINDS, render_code_template


@pytest.mark.parametrize("kind", CODE_KINDS)
def test_template_defines_the_class_that_its_usage_names(kind):
    template = render_code_template(kind, "folder/my_first.py")
    (node,) = [node for node in ast.parse(template.text).body if isinstance(node, ast.ClassDef)]
    assert node.name == "MyFirst"
    assert "my_first.py:MyFirst" in template.usage
    assert "NAME" not in template.text


@pytest.mark.parametrize("file", ["my-layer.py", "layer.txt", "1.py", "class.py", "\u00e4.py", "layer"])
def test_file_that_cannot_be_imported_is_refused(file):
    assert render_code_template("layer", file) is None


def test_class_name_of_a_file_with_underscores():
    assert "class CustomX1(" not in render_code_template("loss", "x1.py").text
    assert "class X1(" in render_code_template("loss", "x1.py").text
    assert "class Custom(" in render_code_template("loss", "_.py").text

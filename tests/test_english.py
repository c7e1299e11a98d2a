"""Plain English: words that are not used in messages, docstrings, comments, pages and test names."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTEAD = {  # a pattern of banned words -> better words
    r"told|tells?(?! apart)": "report, show, say",
    r"held against": "compared with, checked against",
    r"mend(s|ed|ing)?": "fix",
    r"(?<!there )(is|are) no(?= )(?! longer| more)": "is not a, has no, invalid",
    r"whole numbers?": "integer",
    r"alone": "only",
    r"anew": "from scratch, restart",
    r"of (one's|its|their|your|his|the user's) own": "custom, separate",
    r"stands? (in|for|there|beside)": "is in, contains, means",
    r"(go|goes|going) on|went on": "continue, resume",
    r"begun": "started",
    r"comes? of it": "result",
    r"in all(?= *([.,;:)]|$))": "in total",
    r"beside": "next to",
    r"wings?": "package",
    r"also (if|when|while|before|after|where)": "even",
    r", also": "including, even",
    r"(?-i:Of)(?= [a-z])": "for, in; the noun first",
    r"further(?! (away|apart))": "more, other",
    r"so many (times|bytes|texts|values|rows|examples)|in so many": "this number of",
    r"(?-i:Else)(?= [a-z])": "otherwise",
    r"holds? for": "applies to",
    r"(is|are|was|were|not) (waited|looked|asked|searched) for": "requested, or a subject that waits or searches",
    r"(that|which) (is|are) (wanted|meant)": "requested, required, closest",
    r"looked at (together|once)": "checked",
    r"off by(?! one)": "differ by",
    r"each with each": "all pairs",
    r"or else": "otherwise",
    r"(each|one) as its own": "separate",
    r"next to a guess": "compared with a guess",
    r"c[ao]mes? true": "observed, correct",
    r"whole (is|are) over|time is over": "has run out",
    r"of as many": "of the same number of",
}
PATTERNS = {re.compile(rf"\b({pattern})\b", re.IGNORECASE): better for pattern, better in INSTEAD.items()}
ANY = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)
MAX_NAME_LENGTH = 70
CLAUSES = ("What", "That", "Those", "How", "Where")
"""First words of docstrings whose subject is a clause."""
ARTICLES = ("The", "A", "An")
"""First words of nouns, which functions do not start with: they have an imperative."""


def banned_lines(path, lines):
    """Return ``file:line: word`` for each banned word in pairs of a line number and a text."""
    for number, text in lines:
        if not ANY.search(text):
            continue
        for pattern, better in PATTERNS.items():
            for match in pattern.finditer(text):
                line = number + text.count("\n", 0, match.start())
                yield f"{path.relative_to(ROOT)}:{line}: {match[0]!r}, better: {better}"


@cache
def read_module(path):
    """Return the string literals of a module with their line numbers, and its classes and functions."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    texts = [
        (node.lineno, node.value)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    documented = [
        (node.lineno, node.name, ast.get_docstring(node), is_undecorated_function(node))
        for node in nodes
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    ]
    return texts, documented


def is_undecorated_function(node):
    return isinstance(node, ast.FunctionDef) and not node.decorator_list


def read_english(path):
    """Return the string literals of a module, and its comments if one may be banned, with their line numbers."""
    yield from read_module(path)[0]
    source = path.read_text(encoding="utf-8")
    if any(ANY.search(line.partition("#")[2]) for line in source.splitlines() if "#" in line):
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


PACKAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "layercli").glob("[!_]*"))


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_messages_docstrings_and_comments(package):
    folder = ROOT / package
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    assert [found for path in paths for found in banned_lines(path, read_english(path))] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_are_a_noun_or_an_imperative(package):
    folder = ROOT / package
    found = []
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.py")):
        for line, name, docstring, is_function in read_module(path)[1]:
            first = (docstring or "-").split()[0]
            if first in CLAUSES or (is_function and first in ARTICLES):
                found.append(f"{path.relative_to(ROOT)}:{line}: {name} starts with {first!r}")
    assert found == []


PAGES = (
    "*.md",
    "docs/*.md",
    "layercli/json_documents/*.json",
    "docs/recipes/*",
    "configs/*.yaml",
    "configs/*.py",
    "configs/sweeps/*.yaml",
)
"""Patterns of the pages and examples."""


@pytest.mark.parametrize("pattern", PAGES)
def test_pages_and_examples(pattern):
    pages = sorted(ROOT.glob(pattern))
    assert pages
    lines = {page: enumerate(page.read_text(encoding="utf-8").splitlines(), start=1) for page in pages}
    assert [found for page in pages for found in banned_lines(page, lines[page])] == []


def test_names_of_tests():
    found = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^[ ]*(?:async )?def (test_\w+)", source, re.MULTILINE):
            name, line = match[1], source.count("\n", 0, match.start()) + 1
            if len(name) > MAX_NAME_LENGTH:
                found.append(f"{path.relative_to(ROOT)}:{line}: {name} is too long")
            found.extend(banned_lines(path, [(line, name.replace("_", " "))]))
    assert found == []

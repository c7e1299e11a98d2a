"""Code actions: safe fixes, changes that hints ask for, and changes that keep the meaning; all are checked first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from layercli.errors import Problem
from layercli.language_server.analysis import Analysis
from layercli.language_server.check_budget import BudgetSpentError, CheckBudget
from layercli.language_server.documents import OpenDocuments
from layercli.language_server.hint_fixes import suggest_names, suggest_texts
from layercli.language_server.refactorings import list_refactorings
from layercli.language_server.transport import Json
from layercli.source.load import use_unsaved_texts
from layercli.workflows.autofix import fix_problem, fix_text

QUICK_FIX: Final = "quickfix"
FIX_ALL: Final = "source.fixAll.layercli"
ACTION_KINDS: Final = (QUICK_FIX, FIX_ALL, "refactor.extract", "refactor.inline", "refactor.rewrite")
_AUTOMATIC: Final = 2
_MAX_PROBLEMS: Final = 10
_MAX_CANDIDATES: Final = 10
"""Most changes of one problem that are checked."""


def list_actions(analysis: Analysis, documents: OpenDocuments, params: Json) -> list[Json]:
    """Return the actions for a selection: of a long text only those that can be checked in a short time."""
    context, shown = params.get("context"), params.get("range")
    context = context if isinstance(context, dict) else {}
    start, end = (
        analysis.index.offset_at(place)
        if isinstance(shown, dict) and isinstance(place := shown.get(key), dict)
        else 0
        for key in ("start", "end")
    )
    only = context.get("only")
    wanted = [kind for kind in only if isinstance(kind, str)] if isinstance(only, list) else None
    is_automatic = context.get("triggerKind") == _AUTOMATIC
    actions: list[Json] = []
    with use_unsaved_texts(documents.unsaved_texts), suppress(BudgetSpentError):
        for action in _iterate_actions(
            analysis, start, end, wanted, CheckBudget(), is_automatic=is_automatic
        ):
            actions.append(action)
    return actions


def _iterate_actions(
    analysis: Analysis,
    start: int,
    end: int,
    wanted: list[str] | None,
    budget: CheckBudget,
    *,
    is_automatic: bool,
) -> Iterator[Json]:
    problems = [problem for problem in analysis.result.problems if problem.file == analysis.name]
    if _is_wanted(QUICK_FIX, wanted):
        near = [problem for problem in problems if _is_selected(analysis, problem, start, end)]
        for problem in near[:_MAX_PROBLEMS]:
            yield from _list_quick_fixes(analysis, problem, budget)
        for title, text in suggest_names(analysis, start):
            yield _make_action(analysis, QUICK_FIX, title, text)
    if _is_wanted(FIX_ALL, wanted) and problems and not (is_automatic and wanted is None):
        fixed = fix_text(analysis.name, analysis.index.text, budget.check_text)
        if fixed != analysis.index.text:
            yield _make_action(analysis, FIX_ALL, "Apply all safe fixes", fixed)
    if any(_is_wanted(kind, wanted) for kind in ACTION_KINDS[2:]) and not (is_automatic and wanted is None):
        for kind, title, text in list_refactorings(analysis, start, end, budget):
            if _is_wanted(kind, wanted):
                yield _make_action(analysis, kind, title, text)


def _is_wanted(kind: str, wanted: Iterable[str] | None) -> bool:
    return wanted is None or any(one == "" or f"{kind}.".startswith(f"{one}.") for one in wanted)


def _is_selected(analysis: Analysis, problem: Problem, start: int, end: int) -> bool:
    """Return whether a problem is on a line of the selection."""
    line = problem.line or 1
    first, last = analysis.index.yaml_position(start)[0], analysis.index.yaml_position(end)[0]
    return first <= line <= last


def _list_quick_fixes(analysis: Analysis, problem: Problem, budget: CheckBudget) -> Iterator[Json]:
    """Yield the safe fix of a problem, otherwise the changes that its hint asks for and that solve it."""
    name, text = analysis.name, analysis.index.text
    is_error = problem.severity == "error"
    fixed = fix_problem(name, text, problem, budget.check_text) if is_error else None
    if fixed is not None:
        yield _make_action(analysis, QUICK_FIX, str(problem.hint), fixed, problem)
        return
    seen = {text}
    for title, new in islice(suggest_texts(analysis, problem), _MAX_CANDIDATES):
        if new not in seen and _is_solved(analysis, problem, new, budget):
            yield _make_action(analysis, QUICK_FIX, title, new, problem)
        seen.add(new)


def _is_solved(analysis: Analysis, problem: Problem, text: str, budget: CheckBudget) -> bool:
    """Return whether a text lacks a problem, and has no more errors than before."""
    after = budget.check_text(analysis.name, text).problems
    before = analysis.result.problems
    errors = [sum(one.severity == "error" for one in problems) for problems in (before, after)]
    counts = [sum(_is_same(problem, one) for one in problems) for problems in (before, after)]
    return counts[1] < counts[0] and errors[1] <= errors[0]


def _is_same(problem: Problem, other: Problem) -> bool:
    """Return whether a problem remains as another one; after a correct name there can be one more of its code."""
    is_name = str(problem.hint or "").startswith("Did you mean")
    return problem.code == other.code and (not is_name or problem.message == other.message)


def _make_action(
    analysis: Analysis, kind: str, title: str, text: str, problem: Problem | None = None
) -> Json:
    action: dict[str, Any] = {
        "title": title,
        "kind": kind,
        "edit": {"changes": {analysis.document.uri: [analysis.index.edit_to(text)]}},
    }
    if problem is not None:
        action["isPreferred"] = True
    return action

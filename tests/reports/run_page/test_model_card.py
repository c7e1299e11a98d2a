"""The model card: the results of a page without pictures, in Markdown."""

from layercli.errors import Problem
from layercli.graph.output_kind import OutputKind
from layercli.reports.run_page.content import EvaluationContent, OutputContent
from layercli.reports.run_page.model_card import render_model_card
from tests.page.test_html import HOSTILE
from tests.page.test_markdown import texts_of
from tests.reports.run_page.test_page import CLASSES, evaluation, make_content

__all__ = ["make_content"]
MANIFEST = {
    "versions": {"keras": "3.15.1"},
    "seed": 7,
    "command": ["layercli", "train", "pets.yaml"],
    "execution": {"feed": "memory"},
    "data": {"fingerprint": "ab12", "train": 1000, "validation": 100, "test": 120},
    "files": {"model.keras": "cd34"},
}


def test_card_has_results_guess_config_and_hashes(make_content):
    baseline = {"set": "test", "predicts": "majority", "metrics": {"loss": 0.75}}
    content = make_content(
        evaluation=evaluation(CLASSES), manifest=MANIFEST, config_text="name: pets\nseed: 7\n"
    )
    content.summary = {"baseline": baseline}
    card = render_model_card([content])
    assert "| class | precision | recall | F1 | examples |" in card
    assert "| dog | 0.5000 | 0.5000 | 0.5000 | 40 |" in card
    assert "| loss | 0.5000 | 0.7500 |" in card
    assert "```\nname: pets\nseed: 7\n```" in card
    assert "| SHA-256 of model.keras | cd34 |" in card
    assert "| keras | 3.15.1 |" in card
    assert "/config.yaml\n```" in card
    assert "<" not in card


def test_guess_over_another_set_is_left_out(make_content):
    content = make_content(evaluation=evaluation(CLASSES))
    content.summary = {"baseline": {"set": "validation", "metrics": {"loss": 0.75}}}
    assert "Compared with a guess" not in render_model_card([content])


def test_hostile_names_stay_texts(make_content):
    document = {
        **CLASSES,
        "classes": [HOSTILE, "b"],
        "per_class": [{**row, "class": HOSTILE} for row in CLASSES["per_class"]],
        "baseline": {"class": HOSTILE, "accuracy": 0.5},
        "most_confused": [{"class": HOSTILE, "predicted": HOSTILE, "count": 2}],
    }
    output = OutputContent(HOSTILE, OutputKind("classes"), document)
    content = make_content(
        evaluation=EvaluationContent("test", 120, {HOSTILE: 0.5}, [output], [HOSTILE]),
        manifest={**MANIFEST, "versions": {HOSTILE: HOSTILE}},
        config_text=f"name: {HOSTILE}\n```\n",
        notes=[HOSTILE],
        problems=[Problem(code="x", message=HOSTILE, hint=HOSTILE, file=HOSTILE)],
    )
    texts, kinds = texts_of(render_model_card([content, content]))
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open"}
    assert HOSTILE in texts

"""The model card: the results of a page without pictures, in Markdown."""

import pytest
import yaml

from layercli.check import check_config, require_valid
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


@pytest.mark.parametrize(
    ("weights", "is_named"),
    [({"taken": ["a", "b"], "refused": {}}, True), ({"taken": []}, False), ([], False), (None, False)],
)
def test_card_names_the_model_whose_weights_were_taken(weights, is_named, make_content):
    text = "model: {input: [3], weights: runs/base/1, layers: [{type: Dense, units: 1}]}"
    valid = require_valid(check_config("config.yaml", text=text))
    card = render_model_card([make_content(valid=valid, manifest=MANIFEST | {"weights": weights})])
    sentence = "Its training started with the weights of runs/base/1 in 2 of its layers."
    assert (sentence in card) == is_named


def metadata_of(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_card_starts_with_metadata_of_the_hub(make_content):
    content = make_content(evaluation=evaluation(CLASSES))
    document = metadata_of(render_model_card([content]))
    assert (document["library_name"], document["tags"]) == ("keras", ["layercli"])
    [entry] = document["model-index"]
    [result] = entry["results"]
    assert result["dataset"]["split"] == "test"
    assert {"type": "loss", "value": 0.5} in result["metrics"]


def test_card_without_results_has_no_index(make_content):
    document = metadata_of(render_model_card([make_content()]))
    assert document == {"library_name": "keras", "tags": ["layercli"]}


def test_card_has_limits_and_commands(make_content):
    content = make_content(evaluation=evaluation(CLASSES))
    content.commands = ["layercli predict 'runs/my pets/1' --input FILE --output predictions.csv"]
    card = render_model_card([content])
    assert f"```\n{content.commands[0]}\n```" in card
    assert "- It answers with one of its classes, even if an example belongs to none of them." in card
    assert "which the training has used" not in card
    content.evaluation.split = "train"
    assert "those of the training set, which the training has used" in render_model_card([content])


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
    card = render_model_card([content, content])
    metrics = metadata_of(card)["model-index"][0]["results"][0]["metrics"]
    assert metrics == [{"type": HOSTILE, "value": 0.5}]
    texts, kinds = texts_of(card.split("---\n", 2)[2])
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open"}
    assert HOSTILE in texts

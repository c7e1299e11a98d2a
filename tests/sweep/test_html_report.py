"""Names and choices are text on the page."""

import optuna

from layercli.sweep.html_report import render_report_page
from layercli.sweep.plan import read_sweep_plan


def test_markup_in_a_choice_is_escaped(iris):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    path = iris.with_name("s.yaml")
    path.write_text(
        "base: iris.yaml\nspace:\n  name: {choice: ['a', 'b']}\nobjective: {metric: loss}\nname: swept\n"
    )
    plan, _ = read_sweep_plan(str(path))
    study = optuna.create_study()
    study.add_trial(
        optuna.create_trial(
            value=1.0,
            params={"name": evil},
            distributions={"name": optuna.distributions.CategoricalDistribution([evil, "b"])},
        )
    )
    page = render_report_page(plan, study)
    assert "<script>alert" not in page
    assert "<img" not in page.split("</script>")[-1]
    assert "alert(1)" in page
    assert "\\u003cimg" not in page  # nor escaped for JavaScript only, which the plots would read as markup

"""The metadata of the package: what an index shows, and what the archives contain."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from layercli.command_line.completion import TABLE_FILE
from layercli.reports.document_schemas import FOLDER

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README_HOOK = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]


@pytest.fixture(scope="module")
def description():
    """The README as the build writes it into the package."""
    [fragment] = README_HOOK["fragments"]
    text = (ROOT / fragment["path"]).read_text(encoding="utf-8")
    for change in README_HOOK["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_links_of_the_readme_work_outside_the_repository(description):
    assert "readme" in PROJECT["project"]["dynamic"]
    home = PROJECT["project"]["urls"]["Homepage"]
    files = home.replace("https://github.com", "https://raw.githubusercontent.com") + "/main/"
    pages = f"{home}/blob/main/"
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", description)
    assert len(links) > 20
    for mark, target in links:
        assert target.startswith(files if mark else pages), target
        assert (ROOT / target.removeprefix(files if mark else pages).partition("#")[0]).exists(), target


def test_links_of_the_readme_in_the_repository_are_relative():
    assert "github.com/layercli" not in (ROOT / "README.md").read_text(encoding="utf-8")


def test_urls_lead_to_the_same_repository():
    urls = PROJECT["project"]["urls"]
    assert urls.keys() >= {"Homepage", "Documentation", "Changelog", "Issues"}
    for url in urls.values():
        assert url.startswith(urls["Homepage"])
        place = url.removeprefix(urls["Homepage"])
        assert place in ("", "/issues") or (ROOT / re.sub(r"^/(blob|tree)/main/", "", place)).exists()


def test_python_versions_are_those_of_the_continuous_integration():
    stated = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    tried = workflow["jobs"]["python"]["strategy"]["matrix"]["python"]
    assert sorted(["3.11", *tried]) == stated
    assert PROJECT["project"]["requires-python"] == f">={stated[0]}"


def test_every_dependency_has_a_lower_bound():
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (each for group in groups for each in group if not each.startswith("layercli[")):
        assert re.match(r"[\w-]+(\[\w+\])?>=\d", requirement), requirement


def test_dependencies_that_layercli_uses_in_depth_have_an_upper_bound():
    bounded = [each for each in PROJECT["project"]["dependencies"] if ",<" in each]
    names = {re.split(r"[>\[]", each)[0] for each in bounded}
    assert names >= {"keras", "numpy", "pydantic", "pyyaml", "scikit-learn", "tensorflow", "typer"}


def test_wheel_contains_the_examples_and_the_data_files():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["layercli", "configs"]
    assert wheel["sources"] == {"configs": "layercli/examples"}
    assert not (ROOT / "layercli" / "examples").exists(), "the examples are in configs/"
    for path in (TABLE_FILE, FOLDER / "train.json", ROOT / "layercli" / "py.typed"):
        assert path.is_relative_to(ROOT / "layercli")
        assert path.is_file()


def test_licence_file_is_in_both_archives():
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {"LICENSE", "README.md", "layercli", "configs", "tests", "docs"} <= set(included)
    assert all((ROOT / name).exists() for name in included)

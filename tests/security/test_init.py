"""Names in data cannot become references in the config that ``init`` writes."""

from layercli.reports.config_template import quote_yaml_text


def test_column_name_is_not_a_reference():
    assert quote_yaml_text("${v}") == '"$${v}"'

"""What is recorded has no passwords."""

import pytest

from layercli.io.credentials import describe_command, hide_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pass@host/db", "postgresql://***@host/db"),
        ("https://token@github.com/a/b.git", "https://***@github.com/a/b.git"),
        ("postgresql://host/db?user=a&password=b", "postgresql://host/db?user=a&password=***"),
        ("https://h/x?X-Amz-Signature=abc&part=2", "https://h/x?X-Amz-Signature=***&part=2"),
        ("postgresql://me:p@ss@host/db", "postgresql://***@host/db"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
        ("train.epochs=3", "train.epochs=3"),
        ("data.path=http://h/a.csv", "data.path=http://h/a.csv"),
    ],
)
def test_passwords_and_tokens_become_stars(text, shown):
    assert hide_credentials(text) == shown


def test_command_has_the_name_of_the_program_only():
    command = ["/home/me/bin/layercli", "sweep", "s.yaml", "--storage=mysql://me:pw@host/db"]
    assert describe_command(command) == ["layercli", "sweep", "s.yaml", "--storage=mysql://***@host/db"]
    assert describe_command([]) == []


@pytest.mark.parametrize("text", ["?" * 500_000, "?token" * 80_000, "?a=" * 150_000])
def test_long_text_without_a_secret_takes_linear_time(text):
    assert hide_credentials(text) == text


def test_secrets_of_one_text_become_stars_together():
    text = "GET /a?token=1&b=2 and postgres://u:p@h/d?user=x?api_key=3;secret=?key=4"
    assert (
        hide_credentials(text) == "GET /a?token=***&b=2 and postgres://***@h/d?user=x?api_key=***;secret=***"
    )

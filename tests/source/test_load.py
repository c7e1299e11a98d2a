"""Text in, nodes out; hostile or broken text is refused with its position."""

import io
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from layercli.errors import LayercliError
from layercli.source.load import MAX_BYTES, load_yaml
from tests.running import HANG_SECONDS


@pytest.fixture
def read(tmp_path):
    """Loads a config of the given text or bytes."""

    def read(content):
        path = tmp_path / "c.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_yaml(str(path))

    return read


def refusal(read, content):
    """Return position, code, message and hint of the only problem."""
    with pytest.raises(LayercliError) as caught:
        read(content)
    (problem,) = caught.value.problems
    return (problem.line, problem.column), problem.code, problem.message, problem.hint


def test_values_and_order_are_kept(read):
    text = "b: 1e-3\na: [no, null, '1', \"2\", {x: true}]\n"
    assert read(text).to_plain() == {"b": 0.001, "a": ["no", None, "1", "2", {"x": True}]}
    assert list(read(text).to_plain()) == ["b", "a"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028"])
def test_every_line_end_counts(read, end):
    root = read(f"a: 1{end}b: 2{end}c: [1, x]")
    mark = root.find_mark(("c", 1))
    assert root.to_plain() == {"a": 1, "b": 2, "c": [1, "x"]}
    assert (mark.line, mark.column, mark.excerpt) == (3, 8, "c: [1, x]")


def test_byte_order_mark_is_ignored(read):
    root = read(b"\xef\xbb\xbfa: 1")
    assert root.to_plain() == {"a": 1}
    assert root.keys["a"].column == 1
    assert root.keys["a"].excerpt == "a: 1"


def test_keys_are_text_as_written(read):
    assert list(read("1: a\n1e3: b\ntrue: c\n~: d\n012: e").to_plain()) == ["1", "1e3", "true", "~", "012"]


def test_block_and_quoted_texts_are_text(read):
    assert read("a: |\n  1\n  2\nb: '012'\nc: !!str 3").to_plain() == {"a": "1\n2\n", "b": "012", "c": "3"}


def test_aliases_and_merge_keys_are_written_out(read):
    root = read("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, x: 3}\nd: {<<: [*a, {z: 4}]}\ne: &k k\n*k : 5")
    assert root.to_plain() == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 3, "y": 2},
        "d": {"x": 1, "y": 2, "z": 4},
        "e": "k",
        "k": 5,
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("# a comment\n\n", "empty"),
        ("---\n", "empty"),
        ("- a\n- b", "a list"),
        ("hello", "a single value"),
    ],
)
def test_a_config_is_a_mapping(read, text, kind):
    assert refusal(read, text)[1:] == (
        "not-a-mapping",
        f"The file must contain a mapping with the key `model`, but it is {kind}.",
        "For example `model: {input: [4], layers: [{type: Dense, units: 3}]}`.",
    )


def test_a_second_document_is_refused(read):
    assert refusal(read, "a: 1\n---\nb: 2") == (
        (2, 1),
        "two-documents",
        "A config must be a single YAML document, but a second one starts here.",
        "Delete the `---` line, or move the second document into a separate file.",
    )


@pytest.mark.parametrize(("text", "at", "number"), [("a: 012", (1, 4), "12"), ("a:\n  - -007", (2, 5), "-7")])
def test_a_leading_zero_is_refused(read, text, at, number):
    given = text.split()[-1]
    assert refusal(read, text) == (
        at,
        "ambiguous-number",
        f"{given} is ambiguous: some YAML readers treat a leading zero as octal.",
        f'Write {number} for the number, or "{given}" in quotes for a string.',
    )


def test_a_number_that_is_far_too_long_is_refused(read):
    assert refusal(read, "a: " + "9" * 2000) == (
        (1, 4),
        "number-too-long",
        "The number has 2,000 characters, which is too long.",
        "Write at most 300 characters, or put quotes around it if it is a string.",
    )


@pytest.mark.parametrize(
    ("text", "at", "first"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1), "line 1, column 1"),
        ("m:\n  - {x: 1, x: 2}", (2, 12), "line 2, column 6"),
        ("true: 1\n'true': 2", (2, 1), "line 1, column 1"),
    ],
)
def test_duplicate_key_error_names_both_positions(read, text, at, first):
    place, code, message, hint = refusal(read, text)
    key = "a" if text[0] == "a" else "x" if text[0] == "m" else "true"
    assert (place, code) == (at, "duplicate-key")
    assert (message, hint) == (f"The key `{key}` occurs twice: here and at {first}.", "Keep one of them.")


def test_every_duplicate_is_reported(read):
    with pytest.raises(LayercliError) as caught:
        read("a: 1\na: 2\nb: 012\na: 3")
    assert [(problem.line, problem.code) for problem in caught.value.problems] == [
        (2, "duplicate-key"),
        (3, "ambiguous-number"),
        (4, "duplicate-key"),
    ]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("[ " * 30_000, (1, 201)),
        ("a: " + "[" * 30_000, (1, 103)),
        ("- " * 30_000 + "x", (1, 201)),
        ("\n".join("  " * level + "a:" for level in range(120)), (101, 201)),
        ("a: " + "{a: " * 101 + "1" + "}" * 101, (1, 400)),
    ],
)
def test_deep_nesting_is_refused(read, text, at):
    found = refusal(read, text)
    assert found[0] in (at, (1, 1003))  # where libyaml, which looks ahead, gives up by itself since 0.2.6
    assert found[1:] == (
        "too-deep",
        "Lists and mappings are nested deeper than 100 levels, the limit for configs.",
        "Look for brackets or dashes that are repeated by mistake.",
    )


def test_nesting_that_aliases_make_deep_is_refused(read):
    chain = ["a0: &a0 " + "[" * 90 + "]" * 90]
    chain += [f"a{step}: &a{step} " + "[" * 90 + f"*a{step - 1}" + "]" * 90 for step in range(1, 60)]
    place, code, _, _ = refusal(read, "\n".join(chain))
    assert (place[0], code) == (2, "too-deep")


def test_a_hundred_levels_are_read(read):
    root = read("a: " + "[" * 99 + "]" * 99)
    assert str(root.to_plain()["a"]) == "[" * 99 + "]" * 99


def test_an_alias_bomb_is_refused(read):
    levels = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    levels += [
        f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 9)}]"
        for level in range(8)
    ]
    bomb = "\n".join(levels)
    assert len(bomb) < 332
    assert refusal(read, bomb) == (
        (5, 4),
        "too-many-nodes",
        "The file has more than 200,000 values once its aliases are written out.",
        "Remove aliases of values that contain aliases.",
    )


@pytest.mark.parametrize(("text", "at"), [("a: &a [*a]", (1, 8)), ("a: &a\n  b: [1, *a]", (2, 10))])
def test_self_referencing_anchor_is_refused(read, text, at):
    assert refusal(read, text) == (
        at,
        "self-reference",
        "The alias `*a` is inside the value that it repeats, `&a`.",
        "Remove the alias, or write its value out.",
    )


def test_an_alias_without_an_anchor_is_refused(read):
    assert refusal(read, "a: 1\npath: *csv") == (
        (2, 7),
        "unknown-alias",
        "The alias `*csv` has no anchor `&csv` above it.",
        'Write `&csv` before the value to repeat, or put quotes around "*csv" if it is a string.',
    )


@pytest.mark.parametrize(
    ("text", "at", "tag"),
    [
        ("a: 1\nb: !!python/object:os.system x", (2, 4), "!!python/object:os.system"),
        ("b: !!python/object/apply:os.system ['x']", (1, 4), "!!python/object/apply:os.system"),
        ("!!python/name:os.system x: 1", (1, 1), "!!python/name:os.system"),
        ("b: !mine {a: 1}", (1, 4), "!mine"),
        ("b: !!int '3'", (1, 4), "!!int"),
        ("b: !!binary aaaa", (1, 4), "!!binary"),
    ],
)
def test_tags_are_refused(read, text, at, tag):
    assert refusal(read, text) == (
        at,
        "tag-refused",
        f"The tag `{tag}` is not allowed: a config is plain data and cannot run code.",
        "Remove the tag. Name a custom layer as `type: file.py:ClassName`.",
    )


@pytest.mark.parametrize(
    ("text", "at"), [("a: 1\n<<: 3", (2, 5)), ("a: &a {x: 1}\nb: {<<: [*a, 3]}", (2, 14))]
)
def test_only_mappings_are_merged(read, text, at):
    assert refusal(read, text) == (
        at,
        "bad-merge",
        "The merge key `<<` must be an alias of a mapping, such as `<<: *name`.",
        "Write its contents as keys of this mapping instead.",
    )


@pytest.mark.parametrize(
    ("text", "at"), [("? [a, b]\n: 1", (1, 3)), ("{a: 1}: 2", (1, 1)), ("a: {{ x }}", (1, 5))]
)
def test_list_or_mapping_as_a_key_is_refused(read, text, at):
    assert refusal(read, text) == (
        at,
        "key-not-text",
        "A key must be a string, got a list or a mapping.",
        "Put quotes around it if it is a string; delete the extra bracket if it is not a key.",
    )


def test_a_colon_without_a_key_is_refused(read):
    assert refusal(read, "a: 1\n'': 2") == (
        (2, 1),
        "empty-key",
        "The key before this colon is empty.",
        "Write a key, or delete the colon.",
    )


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ("a\uff1a{b: 1, c: 2}", (1, 11), "Replace the fullwidth colon in column 2 with `:`."),
        ("a:\u00a0{b: 1, c: 2}  # \uff1a", (1, 12), "Replace the no-break space in column 3 with a space."),
        ("units\uff1a 1\n\nb: 2", (3, 2), "Replace the fullwidth colon in column 6 of line 1 with `:`."),
        ("a: b\uff1a\n  c: 2", (2, 4), "Start this line in column 1, like `a` in line 1."),
        ("a: '\uff1a", (1, 4), "Close the quote that opens here."),
        ("a: b: c  # \uff1a", (1, 5), 'Put quotes around the value: "b: c  # \uff1a".'),
    ],
)
def test_wide_characters_are_named_if_they_are_the_cause(read, text, at, hint):
    found = refusal(read, text)
    assert (found[0], found[1], found[3]) == (at, "yaml-syntax", hint)


@pytest.mark.parametrize(
    ("content", "at", "byte"),
    [
        (b"a: 1\nb: \xff", (2, 4), "ff"),
        ("é: 1\nb: ".encode() + b"\xff", (2, 4), "ff"),
        (b"# caf\xe9", (1, 6), "e9"),
        ("a: \ud800".encode(errors="surrogatepass"), (1, 4), "ed"),
        ("a: 1".encode("utf-16"), (1, 1), "ff"),
    ],
)
def test_text_that_is_not_utf8_is_refused(read, content, at, byte):
    message = f"The file is not UTF-8 text: byte 0x{byte} is invalid here."
    assert refusal(read, content) == (at, "not-utf8", message, "Save it as UTF-8.")


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x9b", "\ufffe"])
def test_control_characters_are_refused(read, character):
    assert refusal(read, f"é: 1\nbé: {character}") == (
        (2, 5),
        "bad-character",
        "The file contains a control character that YAML does not allow.",
        'Delete it, or write it as an escape such as "\\t" in a quoted string.',
    )


TOO_LARGE = (
    (1, 1),
    "file-too-large",
    "The file is larger than 1 MiB, the limit for configs.",
    "If it is a data file, name it under `data:` of a config.",
)


def test_file_size_limit(read):
    assert refusal(read, b"a: 1 #" + b"x" * (MAX_BYTES - 5)) == TOO_LARGE
    assert read(b"a: 1 #" + b"x" * (MAX_BYTES - 6)).to_plain() == {"a": 1}


def test_an_endless_file_is_refused():
    assert refusal(load_yaml, "/dev/zero") == TOO_LARGE


def test_a_pipe_with_too_many_bytes_is_refused():
    read_end, write_end = os.pipe()

    def write():
        with os.fdopen(write_end, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"#" * 65_536)
            except BrokenPipeError:
                return

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert refusal(load_yaml, f"/dev/fd/{read_end}") == TOO_LARGE
    os.close(read_end)
    writer.join(HANG_SECONDS)
    assert not writer.is_alive()


def stdin_of(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_a_dash_reads_standard_input(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    stdin_of(monkeypatch, b"a: 1")
    source = load_yaml("-").mark.source
    assert (source.name, source.directory) == ("<stdin>", tmp_path)


def test_standard_input_is_capped_too(monkeypatch):
    stdin_of(monkeypatch, b"#" * (MAX_BYTES + 1))
    assert refusal(load_yaml, "-") == TOO_LARGE


def test_paths_are_relative_to_the_file(read, tmp_path):
    assert read("a: 1").mark.source.directory == tmp_path


def unreadable(name):
    with pytest.raises(LayercliError) as caught:
        load_yaml(str(name))
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.file) == ("unreadable-file", None, str(name))
    return problem.message, problem.hint


def test_a_missing_file_is_named(tmp_path):
    assert unreadable(tmp_path / "no.yaml") == (
        "The file does not exist.",
        "Check the path; it is relative to the working directory.",
    )


def test_directory_is_refused(tmp_path):
    assert unreadable(tmp_path) == (
        "This is a directory, not a config file.",
        "Name a file in the directory.",
    )


def test_other_read_errors_are_reported(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert unreadable(loop) == ("The file cannot be read: Too many levels of symbolic links.", None)
    assert unreadable("x" * 300) == ("The file cannot be read: File name too long.", None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_reported(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    assert unreadable(path) == ("The file cannot be read: Permission denied.", None)


def test_permission_error_is_reported(monkeypatch, tmp_path):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert unreadable(tmp_path / "c.yaml") == ("The file cannot be read: Permission denied.", None)


def test_quoted_merge_key_is_a_plain_key(read):
    assert read('a: &a {b: 1}\nc: {"<<": *a, d: 2}\ne: {<<: *a, d: 2}\n').to_plain() == {
        "a": {"b": 1},
        "c": {"<<": {"b": 1}, "d": 2},
        "e": {"b": 1, "d": 2},
    }

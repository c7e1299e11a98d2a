"""Invalid and hostile input to the commands: one clear error each; nothing is loaded or lost."""

import json
import sys

import pytest
from typer.testing import CliRunner

from layercli.cli import make_app
from layercli.errors import ExitCode

GOOD = "model:\n  input: [4]\n  layers:\n    - {type: Dense, units: 3}\n"
REPLACED = "\N{REPLACEMENT CHARACTER}"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Run a command on a config with this text. Return the exit code and the result."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(name, text, *options):
        path = tmp_path / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return CliRunner().invoke(make_app([name]), [name, "c.yaml", *options])

    return run


@pytest.fixture
def find_problems(command):
    """Validate an invalid text. Return every problem as line, column, code, message and hint."""

    def find_problems(text):
        result = command("validate", text, "--json")
        document = json.loads(result.stdout)
        assert result.exit_code == ExitCode.INVALID_INPUT
        assert document["ok"] is False
        assert all(
            found["file"] == "c.yaml" and found["severity"] == "error" for found in document["problems"]
        )
        return [
            (found["line"], found["column"], found["code"], found["message"], found["hint"])
            for found in document["problems"]
        ]

    return find_problems


def layer(text):
    """Return a config whose only layer is the text, starting at line 4, column 7."""
    return f"model:\n  input: [4]\n  layers:\n    - {text}\n"


def test_valid_config_has_no_problems(command):
    result = command("validate", GOOD, "--json")
    assert result.exit_code == ExitCode.OK
    assert json.loads(result.stdout) == {"ok": True, "problems": []}
    assert command("validate", GOOD).stdout == "1 file checked: no problems.\n"


def test_1e_minus_3_is_a_number(command):
    train = "train: {loss: mse, optimizer: {type: Adam, learning_rate: 1e-3}}\n"
    assert command("validate", GOOD + train).exit_code == ExitCode.OK


@pytest.mark.parametrize("word", ["no", "on", "1:30", "2020-01-01"])
def test_words_of_yaml_1_1_are_text(find_problems, word):
    hint = {"no": "Write `use_bias: false`.", "on": "Write `use_bias: true`."}.get(word)
    assert find_problems(layer(f"{{type: Dense, units: 3, use_bias: {word}}}")) == [
        (4, 41, "wrong-type", f'`use_bias` must be true or false, got the string "{word}".', hint)
    ]


def test_leading_zero_is_rejected(find_problems):
    assert find_problems(layer("{type: Dense, units: 012}")) == [
        (
            4,
            28,
            "ambiguous-number",
            "012 is ambiguous: some YAML readers treat a leading zero as octal.",
            'Write 12 for the number, or "012" in quotes for a string.',
        )
    ]


def test_duplicate_key_reports_both_locations(find_problems):
    assert find_problems(GOOD + "name: a\nname: b\n") == [
        (
            6,
            1,
            "duplicate-key",
            "The key `name` occurs twice: here and at line 5, column 1.",
            "Keep one of them.",
        )
    ]


def test_alias_bomb_is_rejected(find_problems):
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for this, before in zip("bcdefgh", "abcdefg", strict=True):
        lines.append(f"{this}: &{this} [{','.join([f'*{before}'] * 9)}]")
    assert find_problems("\n".join(lines)) == [
        (
            5,
            4,
            "too-many-nodes",
            "The file has more than 200,000 values once its aliases are written out.",
            "Remove aliases of values that contain aliases.",
        )
    ]


def test_thirty_thousand_brackets_are_rejected(find_problems):
    assert find_problems("[ " * 30_000) == [
        (
            1,
            201,
            "too-deep",
            "Lists and mappings are nested deeper than 100 levels, the limit for configs.",
            "Look for brackets or dashes that are repeated by mistake.",
        )
    ]


TOO_LARGE = (
    "file-too-large",
    "The file is larger than 1 MiB, the limit for configs.",
    "If it is a data file, name it under `data:` of a config.",
)


def test_too_large_file_is_rejected(find_problems):
    assert find_problems(b"#" * (1 << 20) + b"#") == [(1, 1, *TOO_LARGE)]


@pytest.mark.parametrize("name", ["/dev/zero", "-"])
@pytest.mark.usefixtures("command")
def test_endless_file_is_rejected(name):
    standard_input = b"#" * (2 << 20) if name == "-" else None
    result = CliRunner().invoke(make_app(["validate"]), ["validate", name, "--json"], input=standard_input)
    (found,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert (found["code"], found["message"], found["hint"]) == TOO_LARGE


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("none.yaml", "The file does not exist.", "Check the path; it is relative to the working directory."),
        (".", "This is a directory, not a config file.", "Name a file in the directory."),
        ("c.yaml/x", "The file cannot be read: Not a directory.", None),
        ("x" * 300, "The file cannot be read: File name too long.", None),
    ],
)
def test_unreadable_file_is_rejected(command, name, message, hint):
    command("validate", GOOD)
    result = CliRunner().invoke(make_app(["inspect-shapes"]), ["inspect-shapes", name, "--json"])
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert json.loads(result.stdout)["problems"] == [
        {
            "code": "unreadable-file",
            "severity": "error",
            "message": message,
            "hint": hint,
            "path": "",
            "file": name,
            "line": None,
            "column": None,
        }
    ]


def test_file_without_permission_is_rejected(command, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    command("validate", GOOD)
    monkeypatch.setattr("layercli.source.load.Path.open", refuse)
    result = CliRunner().invoke(make_app(["validate"]), ["validate", "c.yaml"])
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert result.stdout == (
        "c.yaml: error: The file cannot be read: Permission denied. [unreadable-file]\n\n1 file checked: 1 "
        "error.\n"
    )


def test_recursive_anchor_is_rejected(find_problems):
    assert find_problems("model: &m\n  layers: [*m]\n") == [
        (
            2,
            12,
            "self-reference",
            "The alias `*m` is inside the value that it repeats, `&m`.",
            "Remove the alias, or write its value out.",
        )
    ]


def test_python_objects_are_rejected(find_problems):
    assert find_problems(layer("!!python/object/apply:os.system ['true']")) == [
        (
            4,
            7,
            "tag-refused",
            "The tag `!!python/object/apply:os.system` is not allowed: a config is plain data and cannot run code.",
            "Remove the tag. Name a custom layer as `type: file.py:ClassName`.",
        )
    ]


MAPPING = "For example `model: {input: [4], layers: [{type: Dense, units: 3}]}`."
ESCAPES = 'Use single quotes: in double quotes a backslash starts an escape such as "\\n".'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "",
            (
                1,
                1,
                "not-a-mapping",
                "The file must contain a mapping with the key `model`, but it is empty.",
                MAPPING,
            ),
        ),
        (
            "- a",
            (
                1,
                1,
                "not-a-mapping",
                "The file must contain a mapping with the key `model`, but it is a list.",
                MAPPING,
            ),
        ),
        (
            GOOD + "---\n" + GOOD,
            (
                5,
                1,
                "two-documents",
                "A config must be a single YAML document, but a second one starts here.",
                "Delete the `---` line, or move the second document into a separate file.",
            ),
        ),
        (
            b"name: \xff",
            (
                1,
                7,
                "not-utf8",
                "The file is not UTF-8 text: byte 0xff is invalid here.",
                "Save it as UTF-8.",
            ),
        ),
        (
            "name: \ud800".encode(errors="surrogatepass"),
            (
                1,
                7,
                "not-utf8",
                "The file is not UTF-8 text: byte 0xed is invalid here.",
                "Save it as UTF-8.",
            ),
        ),
        (
            'name: "\\ud800"',
            (
                1,
                10,
                "yaml-syntax",
                "This is not valid YAML: the text in double quotes has an escape that YAML does not know.",
                ESCAPES,
            ),
        ),
    ],
    ids=["empty", "list", "two documents", "not UTF-8", "surrogate", "escaped surrogate"],
)
def test_non_config_gives_one_error(find_problems, text, found):
    assert find_problems(text) == [found]


def test_unknown_key_and_type_suggest_the_closest(find_problems):
    assert find_problems(layer("{type: Dense, units: 3, activaton: relu}\n    - Flaten") + "seeed: 1\n") == [
        (4, 31, "unknown-key", 'Dense has no argument "activaton".', "Did you mean `activation`?"),
        (5, 7, "unknown-type", 'There is no layer "Flaten".', "Did you mean `Flatten`?"),
        (6, 1, "unknown-key", 'A config has no key "seeed".', "Did you mean `seed`?"),
    ]


@pytest.mark.parametrize(
    ("value", "shown", "hint"),
    [
        ("true", "true", "Write a number, such as `units: 64`."),
        ('"32"', 'the string "32"', "Remove the quotes: `units: 32`."),
        ("3.5", "3.5", "For example `units: 64`."),
        ("3.0", "3.0", "Write `units: 3`."),
        ("2*3", 'the string "2*3"', "Write the result, or integer arithmetic inside of `${` and `}`."),
        ("1_000", 'the string "1_000"', "Remove the quotes and separators: `units: 1000`."),
        (".nan", ".nan", "For example `units: 64`."),
        ("1e400", ".inf", "For example `units: 64`."),
        ("[3]", "[3]", "For example `units: 64`."),
        ("", "null", "For example `units: 64`."),
    ],
)
def test_scalars_are_strict(find_problems, value, shown, hint):
    assert find_problems(layer(f"{{type: Dense, units: {value}}}")) == [
        (4, 28, "wrong-type", f"`units` must be a positive integer, got {shown}.", hint)
    ]


def test_lists_are_accepted_as_tuples(command):
    text = "model: {input: [8, 8, 1], layers: [{type: Conv2D, filters: 2, kernel_size: [3, 3]}]}"
    assert command("validate", text).exit_code == ExitCode.OK


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e400"])
def test_nan_and_infinity_are_rejected(find_problems, value):
    shown = {"1e400": ".inf"}.get(value, value)
    assert find_problems(layer(f"{{type: Dropout, rate: {value}}}")) == [
        (
            4,
            29,
            "not-finite",
            f"`rate` must be a number between 0 and 1, got {shown}.",
            "For example `rate: 0.5`.",
        )
    ]


def test_sizes_are_bounded(find_problems):
    assert find_problems(
        layer(f"{{type: Dense, units: {10**200}}}\n    - {{type: Dense, units: 3000000000}}")
    ) == [
        (
            4,
            28,
            "out-of-range",
            "`units` must be a positive integer of at most 2,147,483,647, got an integer of 201 digits.",
            "For example `units: 64`.",
        ),
        (
            5,
            28,
            "out-of-range",
            "`units` must be a positive integer of at most 2,147,483,647, got 3000000000.",
            "For example `units: 64`.",
        ),
    ]
    assert find_problems(layer(f"{{type: Dense, units: {10**400}}}")) == [
        (
            4,
            28,
            "number-too-long",
            "The number has 401 characters, which is too long.",
            "Write at most 300 characters, or put quotes around it if it is a string.",
        )
    ]


@pytest.mark.parametrize("name", ["build", "inspect-shapes", "train"])
def test_too_large_layer_is_rejected_before_building(command, monkeypatch, name):
    monkeypatch.setattr("layercli.workflows.preflight.read_memory_limit", lambda: 64 * 10**9)
    monkeypatch.setitem(sys.modules, "layercli.engine.startup", None)  # the engine cannot be imported
    monkeypatch.setitem(sys.modules, "layercli.engine.assemble", None)
    text = (
        "data: {type: sklearn, dataset: digits}\nmodel:\n  layers:\n"
        "    - {type: Dense, units: 100000}\n    - {type: Dense, units: 1000000}\n"
        "    - {type: Dense, units: 10, activation: softmax}\n"
        "train: {loss: sparse_categorical_crossentropy}\n"
    )
    result = command(name, text, "--json")
    assert result.exit_code == ExitCode.INVALID_INPUT
    (found,) = json.loads(result.stdout)["problems"]
    assert (found["code"], found["line"], found["column"]) == ("too-large", 5, 7)
    assert found["path"] == "model.layers[1]"
    assert "The largest layer is `dense_1`," in found["message"]
    assert found["hint"] == "Use a smaller model or a machine with more memory."


def test_thousands_of_errors_are_counted_and_twenty_shown(command):
    text = "model:\n  input: [4]\n  layers:\n" + "    - Dens\n" * 3000
    document = json.loads(command("validate", text, "--json").stdout)
    assert [found["line"] for found in document["problems"]] == list(range(4, 24))
    assert document["problem_count"] == 3000
    lines = command("validate", text).stdout.splitlines()
    assert sum("[unknown-type]" in line for line in lines) == 20
    assert lines[-2:] == [
        "… and 2980 more; 3000 problems in total. Add --all to see all.",
        "1 file checked: 3000 errors.",
    ]


@pytest.mark.parametrize("name", ["show", "train", "inspect-data", "build"])
def test_other_commands_name_the_command_that_shows_all_errors(command, name):
    result = command(name, "model:\n  input: [4]\n  layers:\n" + "    - Dens\n" * 23)
    assert result.stderr.splitlines()[-1] == (
        "… and 3 more; 23 problems in total. `layercli validate --all` shows all of a config."
    )


HARMLESS = {
    "markup": ("[/foo]", "[/foo]"),
    "closing markup": ("[/]", "[/]"),
    "a color": ('"\\e[31mred"', f"{REPLACED}[31mred"),
    "a title": ('"\\e]0;x\\a"', f"{REPLACED}]0;x{REPLACED}"),
    "a C1 control": ('"\\x9b31m"', f"{REPLACED}31m"),
    "a bell": ('"\\a"', REPLACED),
    "turned text": ('"\\u202Eabc"', f"{REPLACED}abc"),
    "an isolate": ('"\\u2066abc\\u2069"', f"{REPLACED}abc{REPLACED}"),
    "a line separator": ('"a\\u2028b"', f"a{REPLACED}b"),
    "a line end": ('"a\\nb"', "a b"),
    "HTML": ("<script>x</script>", "<script>x</script>"),
}


@pytest.mark.parametrize(("written", "shown"), HARMLESS.values(), ids=HARMLESS)
def test_user_text_is_escaped(command, find_problems, written, shown):
    text = layer(f"{{type: {written if written[0] == chr(34) else repr(written)}}}")
    ((line, column, code, message, _),) = find_problems(text)
    assert (line, column, code, message) == (4, 14, "unknown-type", f'There is no layer "{shown}".')
    output = command("validate", text).stdout
    assert output.splitlines()[0] == f'c.yaml:4:14: error: There is no layer "{shown}". [unknown-type]'
    assert not set(output) & set("\x07\x1b\x9b\u202e\u2066\u2028")


def test_bidirectional_text_in_excerpt_is_escaped(command):
    output = command("validate", layer("{type: 'a\u202eb\u200fc', units: x}")).stdout
    assert output.splitlines()[1:3] == [
        f"  4 |     - {{type: 'a{REPLACED}b{REPLACED}c', units: x}}",
        "    |              ^",
    ]


def test_keys_and_paths_are_escaped(find_problems, command):
    text = GOOD + '"\\e[2J": 1\n'
    assert find_problems(text)[0][3] == f'A config has no key "{REPLACED}[2J".'
    assert (
        json.loads(command("validate", text, "--json").stdout)["problems"][0]["path"] == f'["{REPLACED}[2J"]'
    )


def test_problem_shows_line_caret_and_fix(command):
    assert command("validate", layer("{type: Dense, unit: 3}")).stdout == (
        'c.yaml:4:21: error: Dense has no argument "unit". [unknown-key]\n'
        "  4 |     - {type: Dense, unit: 3}\n"
        "    |                     ^\n"
        "  fix: Did you mean `units`?\n"
        "\n"
        "1 file checked: 1 error.\n"
    )


def test_caret_aligns_with_wide_characters(command):
    output = command("validate", layer("{name: 日本, units: 3, type: Dens}")).stdout.splitlines()
    assert [line for line in output if line.endswith("^")] == [
        "    | " + " " * len("    - {name: ") + "^",
        "    | " + " " * (len("    - {name: 日本, units: 3, type: ") + 2) + "^",
    ]


def test_long_line_is_cut_around_caret(command):
    comment = "x" * 300
    output = command("validate", layer(f"{{type: Dense, units: 3, kernel_initializer: '{comment}'}}")).stdout
    line, caret = output.splitlines()[1:3]
    assert len(line) <= 100
    assert line[caret.index("^")] == "'"


CUSTOM = """\
model:
  input: [4]
  layers:
    - {type: "hostile.py:Layer", units: 3}
    - {type: "hostile_package.layers:Layer"}
"""


@pytest.mark.parametrize("name", ["build", "inspect-shapes", "train"])
def test_custom_layer_is_not_loaded_without_trust(command, tmp_path, name):
    (tmp_path / "hostile.py").write_text("raise SystemExit('loaded')")
    (tmp_path / "hostile_package").mkdir()
    (tmp_path / "hostile_package" / "layers.py").write_text("raise SystemExit('loaded')")
    data = "data: {type: sklearn, dataset: iris}\ntrain: {loss: mse}\n"
    result = command(name, CUSTOM + data, "--json")
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert [
        (found["line"], found["code"], found["message"], found["hint"])
        for found in json.loads(result.stdout)["problems"]
    ] == [
        (
            4,
            "trust-required",
            f"`hostile.py:Layer` would load and run {tmp_path / 'hostile.py'}.",
            "Review the code, then pass `--trust`.",
        ),
        (
            5,
            "trust-required",
            "`hostile_package.layers:Layer` would load and run the module hostile_package.layers.",
            "Review the code, then pass `--trust`.",
        ),
    ]
    assert not {"hostile", "hostile_package"} & set(sys.modules)


@pytest.mark.parametrize("options", [("validate",), ("inspect-shapes", "--static")])
def test_check_never_loads_custom_layers(command, tmp_path, options):
    (tmp_path / "hostile.py").write_text("raise SystemExit('loaded')")
    assert command(options[0], CUSTOM, *options[1:]).exit_code == ExitCode.OK
    assert not {"hostile", "hostile_package"} & set(sys.modules)


@pytest.mark.parametrize(
    "name",
    [
        "../x.py:Layer",
        "/tmp/x.py:Layer",
        "a/../../x.py:Layer",
        "http://x.org/x.py:Layer",
        "x.py:__import__('os')",
        "x.py:",
        "..x:Layer",
    ],
)
def test_custom_layer_path_is_relative_to_config(find_problems, name):
    assert find_problems(layer(f'{{type: "{name}"}}')) == [
        (
            4,
            14,
            "bad-custom-type",
            f'`type` must name a file relative to the config, or a module, and a class, got "{name}".',
            "For example `type: my_layers.py:MyLayer` or `type: mypackage.layers:MyLayer`.",
        )
    ]


@pytest.mark.parametrize(
    "name", ["../x", "/tmp/x", "a/b", "..", ".hidden", "a..b", "x ", "C:\\x", "a" * 101, "", "~x"]
)
def test_run_name_cannot_leave_runs_folder(find_problems, name):
    shown = name if len(name) <= 60 else name[:59] + "…"
    assert find_problems(f"name: '{name}'\n{GOOD}") == [
        (
            1,
            7,
            "bad-name",
            "`name` must be a folder name of at most 100 letters, digits, `_`, `-` and single dots that starts "
            f'with a letter or digit, got "{shown}".',
            "For example `name: digits-cnn`.",
        )
    ]


def test_shape_mismatch_names_line_layers_and_fix(find_problems):
    text = "model:\n  input: [8, 8]\n  layers:\n" + "    - {type: LSTM, units: 4}\n" * 2
    assert find_problems(text) == [
        (
            5,
            7,
            "shape-mismatch",
            "LSTM expects sequences of shape (batch, timesteps, features), rank 3, got (None, 4). The "
            "input comes from `lstm` (line 4).",
            "Set `return_sequences: true` on `lstm` (line 4). Without it, the layer returns only the last "
            "timestep.",
        )
    ]


@pytest.mark.parametrize(
    "option", ["model.layers[9].units=3", "model.layers.dens.units=3", "name=012", "x=["]
)
def test_invalid_override_gives_no_traceback(command, option):
    result = command("validate", GOOD, "--set", option, "--json")
    (found,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == ExitCode.INVALID_INPUT
    assert (found["file"], found["line"]) == (f"--set {option}", None)


@pytest.mark.parametrize("option", ["units", "=3", ""])
def test_override_without_key_value_is_a_usage_error(command, option):
    result = command("validate", GOOD, "--set", option)
    assert result.exit_code == ExitCode.USAGE
    assert "expected KEY=VALUE" in result.output


def test_too_large_model_is_a_warning_in_validate(command):
    text = "model:\n  input: [1000]\n  layers:\n    - {type: Dense, units: 100000000}\n"
    result = command("validate", text, "--json")
    (found,) = json.loads(result.stdout)["problems"]
    assert result.exit_code == ExitCode.OK
    assert (found["code"], found["severity"], found["line"]) == ("too-large", "warning", 4)


def test_several_files_are_checked_in_one_run(command, tmp_path):
    (tmp_path / "b.yaml").write_text("model: 3")
    result = command("validate", GOOD.replace("units", "unit"), "b.yaml", "none.yaml", "--json")
    found = [(problem["file"], problem["code"]) for problem in json.loads(result.stdout)["problems"]]
    assert found == [("c.yaml", "unknown-key"), ("b.yaml", "wrong-type"), ("none.yaml", "unreadable-file")]


def test_many_distinct_errors_are_counted(command):
    layers = "".join(f"    - {{type: Dens{number}, units: 3}}\n" for number in range(1000))
    result = command("validate", "model:\n  input: [4]\n  layers:\n" + layers, "--json")
    document = json.loads(result.stdout)
    assert (len(document["problems"]), document["problem_count"]) == (20, 1000)


def test_many_unknown_keys_are_reported_once(command):
    keys = ", ".join(f"k{number}: 1" for number in range(20_000))
    result = command(
        "validate", f"model:\n  input: [4]\n  layers: [{{type: Dense, units: 3, {keys}}}]\n", "--json"
    )
    assert json.loads(result.stdout)["problem_count"] == 201


def test_too_many_layers_are_rejected(command):
    result = command("validate", "model:\n  input: [4]\n  layers:\n" + "    - X\n" * 50_000, "--json")
    (found,) = json.loads(result.stdout)["problems"]
    assert found["message"] == "`layers` must contain at most 10,000 layers, got 50,000."

"""Time from a keystroke to the problems and shapes that an editor shows, and the memory of the language server.

    python benchmarks/language_server.py [--edits 300] [--soak 10000] [--compare 2000]

The benchmark starts ``layercli lsp``, opens a config, types and deletes characters as a person does, and waits after each
keystroke for the diagnostics and the inlay hints of that version. The second config is a ResNet50 whose 176 layers are
written out. The start is the time from the start of the process to the first diagnostics. With ``--compare``, the benchmark
measures nothing: it replays that many edits of the first config in one session, and compares the diagnostics after each with
the problems of ``validate``.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
LAYERCLI = [str(Path(sys.executable).with_name("layercli")), "lsp"]


class Editor:
    """An editor that waits for each answer."""

    def __init__(self, path, text):
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            LAYERCLI, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tempfile.gettempdir()
        )
        self.uri, self.text, self.version, self.count = Path(path).as_uri(), text, 1, 0
        self.diagnostics = []
        self.send({"id": 0, "method": "initialize", "params": {"capabilities": {}}})
        self.send({"method": "initialized", "params": {}})
        item = {"uri": self.uri, "languageId": "yaml", "version": 1, "text": text}
        self.send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        self.read_until(lambda message: message.get("method", "").endswith("publishDiagnostics"))
        self.start_seconds = time.perf_counter() - self.started

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def read_until(self, is_wanted):
        while True:
            length = 0
            while line := self.process.stdout.readline().strip():
                length = int(line.split(b":")[1])
            message = json.loads(self.process.stdout.read(length))
            if is_wanted(message):
                return message

    def replace(self, start, end, new):
        """Change the text between two offsets; return the seconds until diagnostics and hints of the new text."""
        places = [self.text[:offset] for offset in (start, end)]
        first, last = (
            {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}
            for before in places
        )
        self.text = self.text[:start] + new + self.text[end:]
        self.version += 1
        self.count += 1
        began = time.perf_counter()
        change = {"range": {"start": first, "end": last}, "text": new}
        item = {"uri": self.uri, "version": self.version}
        self.send(
            {"method": "textDocument/didChange", "params": {"textDocument": item, "contentChanges": [change]}}
        )
        everything = {"start": {"line": 0, "character": 0}, "end": {"line": 10**6, "character": 0}}
        params = {"textDocument": {"uri": self.uri}, "range": everything}
        self.send({"id": self.count, "method": "textDocument/inlayHint", "params": params})
        published = False

        def is_done(message):
            nonlocal published
            if message.get("params", {}).get("version") == self.version:
                published, self.diagnostics = True, message["params"]["diagnostics"]
            return message.get("id") == self.count

        self.read_until(is_done)
        assert published, "the diagnostics come before the answer"
        return time.perf_counter() - began

    def memory(self):
        """Return the memory of the server in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def close(self):
        self.send({"id": "end", "method": "shutdown"})
        self.read_until(lambda message: message.get("id") == "end")
        self.send({"method": "exit"})
        self.process.wait()


def write_resnet50():
    """Return a ResNet50 with each layer written out."""
    lines = [
        "model:",
        "  input: [224, 224, 3]",
        "  layers:",
        "    - {type: ZeroPadding2D, padding: 3}",
        "    - {type: Conv2D, filters: 64, kernel_size: 7, strides: 2}",
        "    - BatchNormalization",
        "    - ReLU",
        "    - ZeroPadding2D",
        "    - {type: MaxPooling2D, pool_size: 3, strides: 2, name: pool}",
    ]
    before = "pool"
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for block in range(1, blocks + 1):
            name, strides = f"conv{stage}_block{block}", 2 if block == 1 and stage > 2 else 1
            shortcut = before
            if block == 1:
                shortcut = f"{name}_0_bn"
                lines += [
                    f"    - {{type: Conv2D, filters: {4 * filters}, kernel_size: 1, strides: {strides}, inputs: {before}}}",
                    f"    - {{type: BatchNormalization, name: {shortcut}}}",
                ]
            lines += [
                f"    - {{type: Conv2D, filters: {filters}, kernel_size: 1, strides: {strides}, inputs: {before}}}",
                "    - BatchNormalization",
                "    - ReLU",
                f"    - {{type: Conv2D, filters: {filters}, kernel_size: 3, padding: same}}",
                "    - BatchNormalization",
                "    - ReLU",
                f"    - {{type: Conv2D, filters: {4 * filters}, kernel_size: 1}}",
                f"    - {{type: BatchNormalization, name: {name}_3_bn}}",
                f"    - {{type: Add, inputs: [{shortcut}, {name}_3_bn]}}",
                f"    - {{type: ReLU, name: {name}_out}}",
            ]
            before = f"{name}_out"
    return "\n".join([*lines, "    - GlobalAveragePooling2D", "    - {type: Dense, units: 1000}", ""])


def list_keystrokes(text, count):
    """Yield edits as a person makes them: a word is deleted and typed again, a line is added and removed."""
    chance = random.Random(1)
    lines = [number for number, line in enumerate(text.split("\n")) if "type:" in line]
    done = 0
    while done < count:
        number = chance.choice(lines)
        offset = sum(len(line) + 1 for line in text.split("\n")[:number])
        line = text.split("\n")[number]
        if chance.random() < 0.7:  # type a value again
            start = offset + line.rindex(" ") + 1
            end = offset + len(line)
            for place in range(end, start, -1):
                yield place - 1, place, ""
            for index, char in enumerate(text[start:end]):
                yield start + index, start + index, char
            done += 2 * (end - start)
        else:  # write a new line, and delete it
            new = f"{line[: len(line) - len(line.lstrip())]}- {{type: Dropout, rate: 0.5}}\n"
            for index, char in enumerate(new):
                yield offset + index, offset + index, char
            yield offset, offset + len(new), ""
            done += len(new) + 1


def measure(name, path, text, edits, soak):
    """Print the figures of one config."""
    starts = []
    for _ in range(3):
        editor = Editor(path, text)
        starts.append(editor.start_seconds)
        editor.close()
    editor = Editor(path, text)
    keystrokes = list(list_keystrokes(text, edits))
    seconds = sorted(editor.replace(*edit) for edit in keystrokes)
    first = editor.memory()
    for edit in list_keystrokes(text, soak):
        editor.replace(*edit)
    last = editor.memory()
    editor.close()
    p95 = seconds[int(0.95 * len(seconds))]
    memory = f"{first:5.0f} -> {last:.0f} MiB after {soak} more" if soak else f"{first:5.0f} MiB"
    print(
        f"{name:18} start {statistics.median(starts):5.2f} s   median {1000 * statistics.median(seconds):5.1f} ms"
        f"   p95 {1000 * p95:5.1f} ms   {memory}"
    )


def compare_with_validate(path, text, edits):
    """Exit if the diagnostics after an edit are not the problems of ``validate`` on the same text."""
    from layercli.workflows.config_files import find_problems

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / path.name
        editor, with_problems = Editor(config, text), 0
        for number, edit in enumerate(list(list_keystrokes(text, edits)), 1):
            editor.replace(*edit)
            config.write_text(editor.text)
            expected = sorted(
                (one.code, max((one.line or 1) - 1, 0), one.full_message)
                for one in find_problems(str(config))
            )
            found = sorted(
                (one["code"], one["range"]["start"]["line"], one["message"]) for one in editor.diagnostics
            )
            if found != expected:
                sys.exit(f"edit {number}: the server has {found}, validate has {expected}")
            with_problems += bool(expected)
        editor.close()
    print(f"{number} edits, {with_problems} of them with problems: equal to validate after each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--soak", type=int, default=0)
    parser.add_argument("--compare", type=int, default=0)
    arguments = parser.parse_args()
    residual = CONFIGS / "digits_residual.yaml"
    if arguments.compare:
        compare_with_validate(residual, residual.read_text(), arguments.compare)
        return
    measure("residual network", residual, residual.read_text(), arguments.edits, arguments.soak)
    resnet = Path(tempfile.gettempdir()) / "resnet50.yaml"
    measure("ResNet50", resnet, write_resnet50(), arguments.edits, arguments.soak // 10)


if __name__ == "__main__":
    main()

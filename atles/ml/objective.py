"""What one step of training pulls at: the examples' loss, by method, and the anchors'.

`sft`      the examples' answers become likely (cross-entropy)
`distill`  the base with the answer among its notes teaches the model without them: its own words, as it would put them
           after having read the answer (self-distillation: Shenfeld et al., arXiv 2601.19897, here on given answers)
`dpo`      as sft, and the answer that the user turned down becomes less likely than the one that stood (Rafailov et
           al., arXiv 2305.18290, with the likelihood term of Pang et al., arXiv 2404.19733)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from atles.ml import anchors, base, program
from atles.ml.pack import Answer, log_probs, pack

METHODS = ("sft", "distill", "dpo")
BETA = 0.1  # of DPO: how far from the base a preference may lead


@dataclass(frozen=True)
class Lesson:
    """An example as token ids, and what its method needs beside it."""

    said: Answer
    told: Answer | None = None  # the same answer, with notes that hold it before the question
    rejected: Answer | None = None
    teacher: anchors.Anchor | None = None  # distill: what the base says after those notes
    margin: float = 0.0  # dpo: how many nats more likely the base finds `said` than `rejected`


def read(rows: Sequence[dict[str, Any]], tokenizer: PreTrainedTokenizerBase, most: int) -> tuple[list[Lesson], int]:
    """Rows {"messages", "notes"?: messages, "rejected"?: text} as lessons of at most `most` tokens, and how many
    answers had to be cut. Raises BadData."""
    lessons, truncated = [], 0
    for row in rows:
        messages = row.get("messages") or []
        if not messages or messages[-1].get("role") != "assistant" or not messages[-1].get("content"):
            raise program.BadData(f"example {row.get('id')!r} does not end with an assistant's answer")
        said, cut = fit(*base.render_answer(tokenizer, messages), most)
        truncated += cut
        told = rejected = None
        if row.get("notes"):
            told, _ = fit(*base.render_answer(tokenizer, [*row["notes"], messages[-1]]), 2 * most)
            told = Answer(told.prompt, said.answer)
        if row.get("rejected"):
            turned_down = {"role": "assistant", "content": row["rejected"]}
            rejected, _ = fit(*base.render_answer(tokenizer, [*messages[:-1], turned_down]), most)
        lessons.append(Lesson(said, told, rejected))
    return lessons, truncated


def fit(prompt: list[int], answer: list[int], most: int) -> tuple[Answer, bool]:
    cut = len(answer) >= most
    answer = answer[: most - 1]  # one token of prompt stays: something has to predict the first one
    return Answer(tuple(prompt[len(answer) - most :]), tuple(answer)), cut


@torch.no_grad()
def prepare(model: PeftModel, lessons: Sequence[Lesson], method: str, row_length: int) -> list[Lesson]:
    """The lessons with what the base has to say on them; `model` is the base still, its LoRA adds nothing yet."""
    lessons = list(lessons)
    if method == "distill":
        taught = [index for index, lesson in enumerate(lessons) if lesson.told]
        for place, part in parts(model, [lessons[index].told or lessons[index].said for index in taught], row_length):
            top = part.topk(anchors.TOP)
            teacher = anchors.Anchor(lessons[taught[place]].said, top.indices, top.values)
            lessons[taught[place]] = dataclasses.replace(lessons[taught[place]], teacher=teacher)
    if method == "dpo":
        paired = [index for index, lesson in enumerate(lessons) if lesson.rejected]
        margins = preferred(model, [lessons[index] for index in paired], row_length)
        for index, margin in zip(paired, margins, strict=True):
            lessons[index] = dataclasses.replace(lessons[index], margin=margin)
        return lessons
    return [dataclasses.replace(lesson, rejected=None) for lesson in lessons]


@torch.no_grad()
def preferred(model: PeftModel, lessons: Sequence[Lesson], row_length: int) -> list[float]:
    """By how many nats the model finds each answer more likely than the one that was turned down."""
    answers = [answer for lesson in lessons for answer in (lesson.said, lesson.rejected or lesson.said)]
    said = [0.0] * len(answers)
    for index, part in parts(model, answers, row_length):
        said[index] = likelihood(part, answers[index]).item()
    return [yes - no for yes, no in zip(said[::2], said[1::2], strict=True)]


def parts(model: PeftModel, answers: Sequence[Answer], row_length: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Each answer's index, and the log-probabilities [its tokens, vocabulary] of what stands at its places."""
    for row in pack(answers, row_length):
        split = log_probs(model, row).split([len(answers[index].answer) for index in row.members])
        yield from zip(row.members, split, strict=True)


def likelihood(part: torch.Tensor, answer: Answer) -> torch.Tensor:
    """Log-probability of the whole answer, in nats."""
    return part.gather(1, torch.tensor(answer.answer, device=part.device)[:, None]).sum()


def one_step(
    model: PeftModel, own: Sequence[Lesson], known: Sequence[anchors.Anchor], anchor_weight: float, row_length: int
) -> tuple[float, float, int]:
    """Add the gradients of one step. Returns both losses (nats per token) and how many tokens the model computed."""
    paired = [lesson for lesson in own if lesson.rejected]
    pulls = [
        # The derivative of -log sigmoid(β (margin now - margin of the base)): linear in both likelihoods, so that the
        # two answers need not be in one row.
        BETA / (1 + float(torch.tensor(BETA * (now - lesson.margin)).exp()))
        for lesson, now in zip(paired, preferred(model, paired, row_length) if paired else [], strict=True)
    ]
    turned_down = [lesson.rejected for lesson in paired if lesson.rejected]
    answers = [lesson.said for lesson in own] + turned_down + [anchor.said for anchor in known]
    pull_of = dict(zip(map(id, paired), pulls, strict=True))
    own_loss = anchor_loss = 0.0
    tokens = 0
    for row in pack(answers, row_length):
        loss = torch.zeros((), device=model.device)
        split = log_probs(model, row).split([len(answers[index].answer) for index in row.members])
        for index, part in zip(row.members, split, strict=True):
            if index < len(own):
                lesson = own[index]
                # A mean per answer: a short answer ("Your cat is called Pip.") counts as much as a long chatty one.
                surprise = surprise_at(part, lesson) / len(own)
                own_loss += surprise.item()
                loss = loss + surprise - pull_of.get(id(lesson), 0.0) * likelihood(part, lesson.said) / len(own)
            elif index < len(own) + len(turned_down):
                place = index - len(own)
                loss = loss + pulls[place] * likelihood(part, turned_down[place]) / len(own)
            else:
                anchor = known[index - len(own) - len(turned_down)]
                drift = distance(part, anchor) / len(known)
                anchor_loss += drift.item()
                loss = loss + anchor_weight * drift
        loss.backward()
        tokens += len(row.ids)
    return own_loss, anchor_loss, tokens


def surprise_at(part: torch.Tensor, lesson: Lesson) -> torch.Tensor:
    """Nats per token: of the answer, or of the distance to the teacher where there is one."""
    if lesson.teacher:
        return distance(part, lesson.teacher)
    return -likelihood(part, lesson.said) / len(lesson.said.answer)


def distance(part: torch.Tensor, anchor: anchors.Anchor) -> torch.Tensor:
    return anchors.divergence(part, anchor.top_ids.to(part.device), anchor.top_log_probs.to(part.device)).mean()

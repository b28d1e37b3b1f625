"""Which step follows which, on one page.

    memory ──▶ data ──▶ log                      one session each, lane "learn"
                 └────▶ train ──▶ gate ──▶ log   many sessions at once, lane "train"

`publish` follows log: it brings the log files up to date with the store.

A step that fails for good is followed by the same steps as one that succeeds, so the log step always runs.
"""

from atles.pipeline.jobs import Context
from atles.pipeline.lanes import EMBED, PUBLISH
from atles.pipeline.session_steps import DataStep, EmbedStep, LogStep, MemoryStep, PublishStep
from atles.pipeline.training_steps import GateStep, TrainStep
from atles.pipeline.worker import StepRunner
from atles.records import Step


def all_steps(context: Context) -> dict[str, StepRunner]:
    return {
        Step.MEMORY: MemoryStep(context),
        Step.DATA: DataStep(context),
        Step.TRAIN: TrainStep(context),
        Step.GATE: GateStep(context),
        Step.LOG: LogStep(context),
        PUBLISH: PublishStep(context),
        EMBED: EmbedStep(context),
    }

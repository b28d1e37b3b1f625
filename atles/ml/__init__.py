"""Programs that touch a model: train, evaluate, generate. JSON in, JSON out; the rest of atles never imports them."""

import os

# libgomp reads this once, when torch is first imported, so it has to be set before any module of this package runs.
# Spinning OpenMP threads on a busy machine make two threads ten times slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

"""One thread a test process, so that workers of pytest-xdist do not fight for the cores, and results do not vary."""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import torch  # noqa: E402

from musegen.torchaudio_guard import import_torchaudio  # noqa: E402

torch.set_num_threads(1)
import_torchaudio()

"""Our own kernels compute what torch does; on a CPU Triton runs them number by number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import require

CHECKS = Path(__file__).with_name("kernel_checks.py")


@pytest.mark.parametrize("check", ["small_attention", "norm_linear", "linear_add", "residual_unit", "snake", "block"])
def test_a_kernel_computes_what_torch_does(check: str) -> None:
    require("triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run(
        [sys.executable, str(CHECKS), check], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]

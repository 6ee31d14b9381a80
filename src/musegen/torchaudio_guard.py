"""Import torchaudio's Python part even where its compiled extension does not load.

torchaudio's wheel is linked against CUDA; on a CPU build of torch its extension raises at import, and then
``transformers``, which imports torchaudio if it is installed, does not import either. Nothing here or there needs the
extension: resampling and mel filters are plain torch.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable


def import_torchaudio() -> types.ModuleType:
    """Import torchaudio, without its compiled extension where that cannot be loaded."""
    if "torchaudio" in sys.modules:
        return sys.modules["torchaudio"]
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        reason = str(error)
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]

    def unavailable(function: Callable) -> Callable:
        def call(*args: object, **kwargs: object) -> None:
            raise RuntimeError(f"torchaudio.{function.__name__} needs torchaudio's compiled extension: {reason}")

        return call

    extension = types.ModuleType("torchaudio._extension")
    extension.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        _load_lib=lambda library: False,
        fail_if_no_align=unavailable,
    )
    sys.modules["torchaudio._extension"] = extension
    torchaudio = importlib.import_module("torchaudio")
    torchaudio.__dict__["_extension"] = extension
    return torchaudio

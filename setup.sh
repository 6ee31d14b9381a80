#!/usr/bin/env bash
# Make a virtual environment with everything: ./setup.sh [EXTRAS], EXTRAS one of all (default), dev, notebooks, or "" for none.
#   PYTHON=python3.12         which Python
#   MUSEGEN_VENV=.venv        where the environment goes
#   MUSEGEN_TORCH=cpu|cu130   which build of torch, where uv should fetch it from PyTorch's own index
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
venv=${MUSEGEN_VENV:-.venv}
extras=${1-all}
target=".${extras:+[$extras]}"

echo "setup: installing into $venv, which takes some minutes and 4 GB" >&2
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)

if "${pip[@]}" uv 2>/dev/null; then
  # uv ignores pip's settings: hand it pip's local wheel folder, if there is one
  links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-$("$venv/bin/python" -m pip config get global.find-links 2>/dev/null || true)}}
  [ -z "$links" ] || export UV_FIND_LINKS="${links//[[:space:]]/,}"
  UV_COMPILE_BYTECODE=1 "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" \
    ${MUSEGEN_TORCH:+--torch-backend "$MUSEGEN_TORCH"} -e "$target"
else
  echo "setup: no uv, installing with pip" >&2
  "${pip[@]}" -e "$target"
fi
# stable-audio-tools declares Python 3.10 only, and runs on later ones
"${pip[@]}" --no-deps --ignore-requires-python -r requirements-no-deps.txt
echo "setup: done; source $venv/bin/activate" >&2

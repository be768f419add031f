#!/usr/bin/env bash
# Build the sdist and the wheel, check them, and run the wheel from an environment and a folder that have nothing else of ours.
# Usage: recipe/dist.sh PYTHON, whose environment has the group "dist".
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
apart=$(mktemp -d)
trap 'rm -rf "$apart"' EXIT

rm -rf dist
"$python" -m build --outdir dist
"$python" -m twine check --strict dist/*
"$python" -m check_wheel_contents dist/*.whl

# What lies on the path beside the environment would hide a dependency that the wheel does not name.
unset PYTHONPATH
"$python" -m venv "$apart/venv"
"$apart/venv/bin/python" -m pip install --quiet --constraint constraints.txt torch
"$apart/venv/bin/python" -m pip install --quiet --constraint constraints.txt dist/*.whl

cd "$apart"
cat > net.py <<'NET'
from torch import nn

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
NET
venv/bin/steadygrad --version
venv/bin/steadygrad rules
venv/bin/steadygrad check net.py

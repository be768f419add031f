#!/usr/bin/env bash
# Build the sdist and the wheel, check them, and run the wheel from an environment and a folder that have nothing else of ours.
# Usage: recipe/dist.sh PYTHON [FOLDER], whose environment has the group "dist". They are built into FOLDER, ./dist by default.
# LEND=1 downloads nothing: it builds with what PYTHON's environment has, and links the wheel's dependencies from there.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
dist=$(realpath -m "${2:-dist}")
lend=${LEND:-}
apart=$(mktemp -d)
trap 'rm -rf "$apart"' EXIT

rm -rf "$dist"
"$python" -m build ${lend:+--no-isolation} --outdir "$dist"
"$python" -m twine check --strict "$dist"/*
"$python" -m check_wheel_contents "$dist"/*.whl

# What lies on the path beside the environment would hide a dependency that the wheel does not name.
unset PYTHONPATH
"$python" -m venv ${lend:+--without-pip} "$apart/venv"
alone="$apart/venv/bin/python"
if [ -n "$lend" ]; then
    "$python" recipe/lend.py "$dist"/*.whl "$("$alone" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    "$python" -m pip --python "$alone" install --quiet --no-index "$dist"/*.whl
else
    "$alone" -m pip install --quiet --constraint constraints.txt torch
    "$alone" -m pip install --quiet --constraint constraints.txt "$dist"/*.whl
fi

cd "$apart"
cat > net.py <<'NET'
from torch import nn

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
NET
"$alone" -c 'import sys, steadygrad; assert steadygrad.__file__.startswith(sys.prefix), steadygrad.__file__'
venv/bin/steadygrad --version
venv/bin/steadygrad rules
venv/bin/steadygrad check net.py

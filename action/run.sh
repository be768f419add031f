#!/usr/bin/env bash
# The steps of action.yml: checks every target, prints annotations, writes SARIF and the job's summary, and ends with
# the worst exit code. Reads STEADYGRAD_TARGETS (a line or blank between them), STEADYGRAD_ARGS, STEADYGRAD_FAIL_ON,
# STEADYGRAD_BASELINE and STEADYGRAD_RESULTS (a folder for the reports).
set -euo pipefail

read -r -d '' -a targets <<<"${STEADYGRAD_TARGETS:-}" || true
read -r -d '' -a arguments <<<"${STEADYGRAD_ARGS:-}" || true
if [[ ${#targets[@]} -eq 0 ]]; then
  echo "::error title=steadygrad::no target; set targets: net.py:Net"
  exit 2
fi
[[ -z ${STEADYGRAD_FAIL_ON:-} ]] || arguments+=(--fail-on "$STEADYGRAD_FAIL_ON")
[[ -z ${STEADYGRAD_BASELINE:-} ]] || arguments+=(--baseline "$STEADYGRAD_BASELINE")
results=${STEADYGRAD_RESULTS:-steadygrad-results}
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
mkdir -p "$results"

worst=0
number=0
for target in "${targets[@]}"; do
  number=$((number + 1))
  report=$results/$number.json
  rm -f "$report"
  code=0
  steadygrad check "$target" ${arguments[@]+"${arguments[@]}"} --output-format json --output-file "$report" || code=$?
  if [[ -f $report ]]; then
    steadygrad report "$report" --output-format github
    steadygrad report "$report" --output-format sarif --output-file "$results/$number.sarif"
    # Indented, so that nothing in it is read as Markdown.
    { echo "### steadygrad"; echo; COLUMNS=100 steadygrad report "$report" --color never | sed 's/^/    /'; echo; } >>"$summary"
  else
    echo "::error title=steadygrad::could not check a target; the log has the reason"
    { echo "### steadygrad"; echo; printf '    %s: could not be checked; the log has the reason\n\n' "$target"; } >>"$summary"
  fi
  if ((code > worst)); then worst=$code; fi
done
exit "$worst"

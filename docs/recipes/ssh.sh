#!/usr/bin/env bash
# ssh.sh "host1 host2" config.yaml
# Trains one model on these hosts, which share this folder and have layercli in their PATH. When one of them fails, all end;
# the same command resumes from the last checkpoint.
set -euo pipefail
hosts=($1) config=$2 run=${3:-runs/ssh} port=${LAYERCLI_PORT:-22222}

workers=$(printf '"%s",' "${hosts[@]/%/:$port}")
if [ -e "$run/manifest.json" ]; then
  command="layercli train --resume $(printf %q "$run")"
else
  command="layercli train $(printf %q "$config") --run-dir $(printf %q "$run")"
fi
started=()
stop() { for each in "${started[@]}"; do kill "$each" 2>/dev/null || true; done; }
trap stop EXIT INT TERM
for index in "${!hosts[@]}"; do
  config_of="{\"cluster\": {\"worker\": [${workers%,}]}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
  # With a terminal (-tt) the command on the other side ends when this one does.
  ssh -tt "${hosts[$index]}" "cd $(printf %q "$PWD") && TF_CONFIG=$(printf %q "$config_of") exec $command" \
    < /dev/null 2>&1 | sed -u "s/^/[$index] /" &
  started+=($!)
done
failed=0
for each in "${started[@]}"; do wait -n || failed=1; [ "$failed" = 0 ] || break; done
exit "$failed"

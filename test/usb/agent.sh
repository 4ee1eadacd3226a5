#!/bin/bash
# Inside of the emulated machine: runs the commands that come through the port `agent`, one after the other. A line is a number
# and a command in base64; the answer has the number, the exit code, and both outputs.
exec 3<>/dev/virtio-ports/agent
printf 'ready\n' >&3
while read -r -u 3 number text; do
  bash -c "$(base64 -d <<<"$text")" >/run/agent.out 2>/run/agent.err </dev/null
  code=$?
  printf '%s %s .%s .%s\n' "$number" "$code" "$(base64 -w0 /run/agent.out)" "$(base64 -w0 /run/agent.err)" >&3
done

#!/usr/bin/env bash
# Prints the folder for what tests write: memory where there is plenty, since a dozen etcds on one disk wait for each other's fsync.
set -euo pipefail
memory=/dev/shm
gib=$((1024 * 1024))
free=$(df --output=avail "$memory" 2>/dev/null | tail -n 1 || true)
available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
if [ -z "${TMPDIR:-}" ] && [ -w "$memory" ] && [ "${free:-0}" -ge $((6 * gib)) ] && [ "${available:-0}" -ge $((14 * gib)) ]; then
  echo "$memory"
else
  echo "${TMPDIR:-/tmp}"
fi

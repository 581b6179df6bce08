#!/bin/bash
# Tells whether one of the named systemd services has processes: 0 yes, 1 no, 2 when it cannot be told. It reads what the
# kernel says about the services' cgroups (v2): the image has no systemctl, and this needs no right on the host.
shopt -s nullglob
if [ ! -e "$CGROUP_ROOT/cgroup.controllers" ]; then
  echo "no cgroup v2 at $CGROUP_ROOT"
  exit 2
fi
for name in "$@"; do
  for events in "$CGROUP_ROOT"/{,*.slice/}"$name.service/cgroup.events"; do
    [ -r "$events" ] || continue
    while read -r key value; do
      if [ "$key" = populated ] && [ "$value" = 1 ]; then
        echo "$name.service runs"
        exit 0
      fi
    done <"$events"
  done
done
echo "not running: $*"
exit 1

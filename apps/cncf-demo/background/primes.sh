#!/bin/sh
# Counts the primes among SIZE numbers; JOB_COMPLETION_INDEX says which ones. Its use is that it keeps a CPU busy.
set -eu
n=$((JOB_COMPLETION_INDEX * SIZE))
end=$((n + SIZE))
echo "from $n to $((end - 1))"
found=0
while [ "$n" -lt "$end" ]; do
  prime=$((n > 1))
  d=2
  while [ $((d * d)) -le "$n" ]; do
    if [ $((n % d)) -eq 0 ]; then
      prime=0
      break
    fi
    d=$((d + 1))
  done
  found=$((found + prime))
  n=$((n + 1))
done
echo "$found primes"

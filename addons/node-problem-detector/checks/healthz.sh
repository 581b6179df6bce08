#!/bin/bash
# Asks for /healthz on a port of loopback: 0 when it answers 200, 1 when it does not. Nothing but bash: the image has no curl.
port=$1
exec 2>/dev/null
if ! exec 3<>"/dev/tcp/127.0.0.1/$port"; then
  echo "nothing listens on port $port"
  exit 1
fi
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
if ! read -r -t 8 _ status _ <&3; then
  echo "port $port does not answer"
  exit 1
fi
if [ "$status" != 200 ]; then
  echo "/healthz answers $status"
  exit 1
fi
echo "/healthz answers 200"

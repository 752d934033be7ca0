#!/bin/sh
# Several clients: each has its own profile, bot, board, folder, sandbox and
# gateway, and knows nothing of the others.
set -eu
clients=${CLIENTS:-/var/hermes-clients}
backend=${BACKEND:-docker}

for client in acme beta gamma; do
	hermes client add "$client" --dir "$clients/$client" --backend "$backend" --agents research
done
hermes status

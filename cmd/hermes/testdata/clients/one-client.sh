#!/bin/sh
# One client, one department: a profile, a folder, a sandbox and a gateway.
#
#	CLIENTS=/srv/clients BACKEND=docker sh one-client.sh
set -eu
clients=${CLIENTS:-/var/hermes-clients}
backend=${BACKEND:-docker}

hermes client add acme --dir "$clients/acme" --backend "$backend" --agents research

# Later, when the client has a bot:
#	hermes client add acme --allow telegram:12345678:owner --bot-token-stdin < token

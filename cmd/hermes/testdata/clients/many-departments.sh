#!/bin/sh
# Several clients with departments: Acme's departments have boards of their own
# and share Acme's folder, bot and sandbox; Beta has its own of everything.
#
#	CLIENTS=/srv/clients BACKEND=docker TOKENS=/root/tokens OWNER=12345678 sh many-departments.sh
#
# TOKENS is a folder with a file for each client that holds the token of its
# bot, and OWNER the Telegram number of who may use it; without a token a client
# has no chat.
set -eu
clients=${CLIENTS:-/var/hermes-clients}
backend=${BACKEND:-docker}

# add NAME FLAG... takes a client on, with its bot if it has one.
add() {
	set -- "$@" --dir "$clients/$1" --backend "$backend" --agents research
	if [ -r "${TOKENS:-}/$1" ]; then
		hermes client add "$@" --allow "telegram:$OWNER:owner" --bot-token-stdin < "$TOKENS/$1"
	else
		hermes client add "$@"
	fi
}

add acme --no-start
for department in eng support; do
	hermes board create "acme-$department"
done
hermes profile boards acme acme acme-eng acme-support
hermes -p acme config set chat.routes '[
  {"prefix": "/engineering", "board": "acme-eng", "assignee": "orchestrator", "text": "task"},
  {"prefix": "/support", "board": "acme-support", "tenant": "helpdesk", "read_only": true}
]'
hermes -p acme gateway start

add beta

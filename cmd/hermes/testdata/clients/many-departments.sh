#!/bin/sh
# Several clients with departments: Acme's departments have boards of their own
# and share Acme's folder and sandbox; Beta has its own of everything.
set -eu
clients=${CLIENTS:-/var/hermes-clients}
backend=${BACKEND:-docker}

hermes client add acme --dir "$clients/acme" --backend "$backend" --agents research --no-start
for department in eng support; do
	hermes board create "acme-$department"
done
hermes profile boards acme acme acme-eng acme-support
hermes -p acme config set chat.routes '[
  {"prefix": "/engineering", "board": "acme-eng", "assignee": "orchestrator", "text": "task"},
  {"prefix": "/support", "board": "acme-support", "tenant": "helpdesk", "read_only": true}
]'
hermes -p acme gateway start

hermes client add beta --dir "$clients/beta" --backend "$backend" --agents research

#!/bin/sh
# One client, several departments: one bot and one gateway. A prefix leads to a
# department's board: /engineering makes tasks, /support can only look.
set -eu
clients=${CLIENTS:-/var/hermes-clients}
backend=${BACKEND:-docker}

hermes client add acme --dir "$clients/acme" --backend "$backend" --agents research --no-start
hermes board create acme-support
hermes profile boards acme acme acme-support
hermes -p acme config set chat.routes '[
  {"prefix": "/engineering", "board": "acme", "assignee": "orchestrator", "text": "task"},
  {"prefix": "/support", "board": "acme-support", "read_only": true}
]'
hermes -p acme gateway start

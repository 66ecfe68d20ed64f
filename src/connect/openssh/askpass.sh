#!/bin/sh
# What ssh starts for a question: passes it on to the process that started ssh, and prints the answer.
exec "$GO_PLUGIN_SSH_NODE" "${0%.sh}.mjs" "$@"

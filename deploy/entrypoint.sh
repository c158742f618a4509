#!/bin/sh
# Where charts for Prefect's image look for its start script; theirs says `tini -g -- /opt/prefect/entrypoint.sh prefect …`.
set -e
if [ $# -eq 0 ]; then set -- prefect-kernel server start; fi
exec "$@"

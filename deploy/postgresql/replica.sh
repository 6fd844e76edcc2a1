#!/bin/sh
# Makes this machine a streaming replica. On it, as the user postgres, with an empty data folder:
#   PRIMARY_HOST=10.0.0.1 DATA=/var/lib/postgresql/15/main sh replica.sh
# Before that, once on the primary, as a superuser:
#   CREATE ROLE replicator LOGIN REPLICATION PASSWORD '…';
#   and in pg_hba.conf:  hostssl replication replicator <address of the replica>/32 scram-sha-256
# The password comes from ~/.pgpass or PGPASSFILE.
set -eu
: "${PRIMARY_HOST:?}" "${DATA:?}"
# --slot keeps what the replica still needs (up to max_slot_wal_keep_size); --write-recovery-conf makes it follow.
pg_basebackup --host="$PRIMARY_HOST" --port="${PRIMARY_PORT:-5432}" --username="${REPLICATION_USER:-replicator}" \
  --pgdata="$DATA" --wal-method=stream --checkpoint=fast --create-slot --slot="${SLOT:-charter_replica}" \
  --write-recovery-conf --progress

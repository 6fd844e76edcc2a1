#!/bin/sh
# Installs a version beside the present one and goes over to it process by process, without losing a request. As root:
#   sh update.sh charter_service-1.0-py3-none-any.whl run.txt      (the wheel, and the lock it was tested with)
#   sh update.sh --back                                            (to the version before; the schema stays as it is)
set -eu
home=${INSTALL_FOLDER:-/opt/charter}

point() {
  ln -sfn "$2" "$home/$1.new"
  mv -T "$home/$1.new" "$home/$1"
}

before=$(readlink "$home/current" || true)
if [ "${1:-}" = --back ]; then
  next=$(readlink "$home/previous")
else
  wheel=$1 lock=$2
  next=$home/releases/$(date -u +%Y%m%dT%H%M%SZ)
  python3 -m venv "$next"
  "$next/bin/pip" install --quiet --require-hashes --requirement "$lock"
  "$next/bin/pip" install --quiet --no-deps --no-index "$wheel"
  "$next/bin/python" -m compileall -q "$next/lib"
fi
[ -x "$next/bin/charter" ]
point current "$next"

# First the schema, which the processes that still run understand too.
if [ "${1:-}" != --back ] && ! systemctl restart charter-migrate.service; then
  [ -z "$before" ] || point current "$before"
  echo "The migration failed, the version before goes on: journalctl --unit charter-migrate.service" >&2
  exit 1
fi
[ -z "$before" ] || [ "$before" = "$next" ] || point previous "$before"

# Then one after the other, each when the one before has said that it can answer.
systemctl start charter-web.socket
for one in charter-web@1 charter-web@2 charter-worker; do
  systemctl restart "$one.service"
done

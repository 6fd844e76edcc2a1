#!/bin/sh
# Makes the role and the database of the service, which is no superuser. As a superuser of the server, with PGHOST … set:
#   DATABASE_PASSWORD=… sh roles.sh
# The official container image runs it once, when its data folder is made.
set -eu
: "${DATABASE_PASSWORD:?}"
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres <<'SQL'
\getenv password DATABASE_PASSWORD
-- The password must not reach the server's log, whatever that log is told to hold.
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
CREATE ROLE charter LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
CREATE DATABASE charter OWNER charter TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE charter FROM PUBLIC;
\connect charter
-- The service makes its own tables; nobody else has anything to make here.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO charter;
SQL

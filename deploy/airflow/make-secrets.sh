#!/bin/sh
# Makes the secrets of compose.yaml, once: random ones, in the folder secrets/ beside this file. What is
# there already stays as it is. Needs openssl.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

# Only the owner enters the folder. The files themselves are readable, since the user of a container is
# another one: only the file is mounted there.
put() {
  if [ ! -e "$1" ]; then
    printf '%s' "$2" > "$1"
    chmod 444 "$1"
    echo "made secrets/$1"
  fi
}

# Hexadecimal digits: they need no quoting inside an address.
put postgres_password "$(openssl rand -hex 24)"
put redis_password "$(openssl rand -hex 24)"
put admin_password "$(openssl rand -hex 12)"
put api_secret_key "$(openssl rand -hex 32)"
put jwt_secret "$(openssl rand -hex 64)"
# 32 bytes in URL-safe base64.
put fernet_key "$(openssl rand -base64 32 | tr '+/' '-_')"
put sql_alchemy_conn "postgresql+psycopg2://airflow:$(cat postgres_password)@postgres:5432/airflow"
put result_backend "db+postgresql://airflow:$(cat postgres_password)@postgres:5432/airflow"
put broker_url "redis://:$(cat redis_password)@redis:6379/0"

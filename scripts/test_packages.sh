#!/usr/bin/env bash
# Install the Debian packages that the tests use, when root; say which halves are skipped otherwise.
set -euo pipefail

for folder in /usr/lib/postgresql/*/bin; do
    version=${folder#/usr/lib/postgresql/}
    [ -x "$folder/initdb" ] && [ "${version%%/*}" -ge 15 ] && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's postgresql, so that the tests drive a system server as well as the bundled one" >&2
    apt-get update -qq >&2
    # Its programs are wanted, not a server that runs from now on.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common >&2
    mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/seawall.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
else
    echo "No system PostgreSQL 15 or newer here: the tests use the bundled server alone" >&2
fi

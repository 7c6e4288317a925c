#!/usr/bin/env bash
# Install the Debian packages that the tests use, when root; say which halves are skipped otherwise.
set -euo pipefail

compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's postgresql, so that the tests drive a system server as well as the bundled one" >&2
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >&2
else
    echo "No system PostgreSQL here: the tests use the bundled server alone" >&2
fi

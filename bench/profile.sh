#!/usr/bin/env bash
# Profiles: fitting, encoding, and all against all.
set -euo pipefail
psql -X -q -v ON_ERROR_STOP=1 -f profile/profile.sql

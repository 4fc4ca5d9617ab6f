#!/usr/bin/env bash
# The example bots' own tests, beside them in scripts/.
cd "$(dirname "$0")/../.." || exit 1
exec "${MOONKEEP:-build/moonkeep}" test scripts

#!/usr/bin/env bash
# Makes sample_scans/ again: real scanners on sample_service/, their outputs kept as they came.
#
# Needs on PATH, none of them with a network once installed:
#   pip install semgrep==1.182.0 checkov==3.3.30 bandit==1.9.4 bandit-sarif-formatter==1.1.1 zizmor==1.32.0
# Semgrep uses sample_rules/, because its registry is a network service. Checkov's JSON is not made:
# it names every file by its absolute path, so it would carry the folder of whoever ran this.
# ZAP, OSV-Scanner, Trivy, Gitleaks and gosec are missing: no package of their authors was found on
# PyPI or in Debian 12, and ZAP needs a running service, OSV-Scanner and Trivy their databases.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A copy elsewhere, scanned from inside by relative paths: no output can name this machine's folders.
cp -R "$here/sample_service" "$scratch/notes-service"
cp -R "$here/sample_rules" "$scratch/rules"
scans="$scratch/scans"
mkdir -p "$scans"/{semgrep,checkov,bandit,zizmor}-results
cd "$scratch/notes-service"

semgrep scan --quiet --metrics off --disable-version-check --no-git-ignore --config ../rules \
    --json-output=../scans/semgrep-results/semgrep.json \
    --sarif-output=../scans/semgrep-results/semgrep.sarif . > /dev/null
checkov --directory . --framework dockerfile github_actions kubernetes --skip-download --quiet \
    --soft-fail --output sarif --output-file-path ../scans/checkov-results > /dev/null
bandit --quiet --exit-zero --severity-level high --recursive admin \
    --format sarif --output ../scans/bandit-results/bandit.sarif
zizmor --quiet --offline --no-exit-codes --min-severity high --format sarif . \
    > ../scans/zizmor-results/zizmor.sarif

names_this_machine() {
    grep -rnF -e "$scratch" -e "$here" -e "$HOME" "$scans" || grep -rnwF -e "$(hostname)" "$scans"
}
if names_this_machine | cut -c1-200 | grep .; then
    echo "an output names this machine (above); sample_scans/ is left as it was" >&2
    exit 1
fi
rm -rf "$here/sample_scans"
mv "$scans" "$here/sample_scans"

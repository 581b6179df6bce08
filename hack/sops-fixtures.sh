#!/bin/sh
# Makes pkg/render/sops/testdata anew with the real sops (https://getsops.io): encrypted/ from plain/, and output/ with what
# `sops decrypt` prints of each. The keys are for tests; they are in the folder. Needs sops in PATH (made with 3.13.3):
#   go install github.com/getsops/sops/v3/cmd/sops@v3.13.3
set -eu
cd "$(dirname "$0")/../pkg/render/sops/testdata"
recipient() { sed -n 's/^# public key: //p' "$1.agekey"; }
one=$(recipient one) two=$(recipient two) three=$(recipient three) hybrid=$(recipient hybrid)
rm -rf encrypted output
mkdir encrypted output
config=$(mktemp) && trap 'rm -f "$config"' EXIT
export SOPS_AGE_KEY_FILE="$PWD/one.agekey"

# make NAME SOURCE FLAGS...: NAME may differ from SOURCE where one source is encrypted in several ways.
make() {
	name=$1 source=$2
	shift 2
	sops --config "$config" encrypt --filename-override "$name" --output "encrypted/$name" "$@" "plain/$source"
	(cd encrypted && sops --config "$config" decrypt "$name") >"output/$name"
}

make secret.yaml secret.yaml --age "$one,$two" --encrypted-regex '^(data|stringData)$'
make whole.yaml whole.yaml --age "$one"
make documents.yaml documents.yaml --age "$one" --encrypted-regex '^(data|stringData)$'
make suffix.yaml suffix.yaml --age "$one" --unencrypted-suffix _open
make encrypted-suffix.yaml encrypted-suffix.yaml --age "$one" --encrypted-suffix _sec
make unencrypted-regex.yaml unencrypted-regex.yaml --age "$one" --unencrypted-regex '^(apiVersion|kind|metadata)$'
make config.json config.json --age "$one"
make app.env app.env --age "$one"
make app.ini app.ini --age "$one"
make keystore.p12 keystore.p12 --age "$one"
make token.txt token.txt --age "$one"
make hybrid.yaml suffix.yaml --age "$hybrid,$one"

# For somebody else, who is not in the folder.
SOPS_AGE_KEY_FILE="$PWD/three.agekey"
make other.yaml suffix.yaml --age "$three"

# What only a configuration can ask for.
SOPS_AGE_KEY_FILE="$PWD/one.agekey"
cat >"$config" <<END
creation_rules:
  - path_regex: uncomment
    age: $one
    unencrypted_comment_regex: ^ open$
  - path_regex: comment
    age: $one
    encrypted_comment_regex: secret
  - path_regex: mac-only
    age: $one
    encrypted_regex: ^(password|token)$
    mac_only_encrypted: true
END
make comment.yaml comment.yaml
make uncomment.yaml uncomment.yaml
make mac-only.yaml mac-only.yaml

# Key groups: two of three are needed.
cat >"$config" <<END
creation_rules:
  - shamir_threshold: 2
    key_groups:
      - age: [$one]
      - age: [$two]
      - age: [$three]
END
cat one.agekey two.agekey >"$config.keys"
SOPS_AGE_KEY_FILE="$config.keys"
make groups.yaml suffix.yaml
rm -f "$config.keys"

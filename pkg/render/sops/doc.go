// Package sops reads files that SOPS encrypted (https://getsops.io), in memory.
//
// Purpose: secrets may be in git, and whoever renders with a key sees them as if they were not encrypted.
// Inputs: a file's name and bytes, and Keys: age identities and a port to AWS KMS. Output: a Plain: the text with every value
// decrypted where it stood, so that lines stay lines; what `sops decrypt` prints; and the values, for whoever must hide them.
// Invariants: nothing is returned unless the file's MAC says that nothing was changed; errors never contain a value, a key or
// a ciphertext; nothing is written anywhere.
//
// The stores are SOPS's: YAML (of several documents), JSON, dotenv, INI and binary; key groups with a threshold are put
// together (Shamir). Files for PGP, GCP, Azure, Vault or Huawei keys alone are refused by name: see docs/adr.
package sops

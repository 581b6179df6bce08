// Package git is a git host for tests and the lab: bare repositories made with the real git, served over https, http and ssh.
//
// Purpose: what talks to a git host is tested against the protocol as git itself speaks it (git-http-backend, git-upload-pack),
// with logins, host keys and certificates, with every request counted and with faults on demand.
// Inputs: a folder, credentials, commits. Outputs: URLs, counts.
// Invariants: it listens on the loopback only; Close ends every connection and process it started.
package git

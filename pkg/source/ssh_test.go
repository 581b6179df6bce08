package source_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eks-gitops/reconciler/internal/sim/git"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/source"
)

func serveShell(t *testing.T, h *host) *git.Shell {
	t.Helper()
	s, err := git.ServeShell(t.Context(), h.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newKey(t *testing.T, passphrase string) (string, ssh.PublicKey) {
	t.Helper()
	private, signer, err := git.NewKey(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return string(private), signer.PublicKey()
}

func TestFetchOverSSH(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	shell := serveShell(t, h)
	private, public := newKey(t, "")
	locked, other := newKey(t, "open sesame")
	shell.Admit(public)
	c := source.Credentials{SSHKeyFile: secret(t, "key", private), KnownHostsFile: secret(t, "known_hosts", shell.KnownHosts())}
	location := "ssh://git@" + shell.Address + "/fleet.git"
	s := open(t, source.Options{Location: location, Credentials: c})
	wantFiles(t, fetch(t, s), map[string]string{"a": "1"})
	h.write(t, "b", "2")
	shell.Sessions()
	wantFiles(t, fetch(t, s), map[string]string{"a": "1", "b": "2"})
	fetch(t, s)
	if n := shell.Sessions(); n != 2 {
		t.Errorf("one push and one poll took %d sessions; want 2", n)
	}

	// The key is rotated: the new one has a passphrase.
	shell.Admit(other)
	refused(t, s, gitops.SourceDenied, "logging in as git")
	rewrite(t, c.SSHKeyFile, locked)
	refused(t, s, gitops.SourceDenied, "reading the ssh key", c.SSHKeyFile)
	c.PasswordFile = secret(t, "passphrase", "open sesame\n")
	fetch(t, open(t, source.Options{Location: location, Credentials: c}))
	rewrite(t, c.PasswordFile, "wrong phrase")
	e := refused(t, open(t, source.Options{Location: location, Credentials: c}), gitops.SourceDenied, "reading the ssh key")
	if strings.Contains(e.Error(), "wrong phrase") {
		t.Errorf("the passphrase leaks: %v", e)
	}
}

func TestHostKeysAreChecked(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write(t, "a", "1")
	shell := serveShell(t, h)
	private, public := newKey(t, "")
	shell.Admit(public)
	known := secret(t, "known_hosts", shell.KnownHosts())
	c := source.Credentials{SSHKeyFile: secret(t, "key", private), KnownHostsFile: known}
	s := open(t, source.Options{Location: "ssh://" + shell.Address + "/fleet.git", Credentials: c})
	fetch(t, s)

	_, attacker := newKey(t, "")
	address, _, _ := strings.Cut(shell.KnownHosts(), " ")
	rewrite(t, known, address+" "+string(ssh.MarshalAuthorizedKey(attacker)))
	refused(t, s, gitops.SourceDenied, "not the one in", known)
	rewrite(t, known, "other.example.com "+string(ssh.MarshalAuthorizedKey(attacker)))
	refused(t, s, gitops.SourceDenied, "has no key for it", "ssh-keyscan")
	rewrite(t, known, "this is no key\n")
	refused(t, s, gitops.SourceDenied, "reading the known hosts")
	c.KnownHostsFile = ""
	refused(t, open(t, source.Options{Location: "ssh://" + shell.Address + "/fleet.git", Credentials: c}), gitops.SourceDenied, "no known_hosts file")
	rewrite(t, known, shell.KnownHosts())
	fetch(t, s)
}

func TestTroubleOverSSH(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	shell := serveShell(t, h)
	private, public := newKey(t, "")
	shell.Admit(public)
	c := source.Credentials{SSHKeyFile: secret(t, "key", private), KnownHostsFile: secret(t, "known_hosts", shell.KnownHosts())}
	o := source.Options{Location: "ssh://" + shell.Address + "/fleet.git", Credentials: c, Timeout: 10 * time.Second}
	refused(t, open(t, o), gitops.SourceInvalid, "no commits")
	h.write(t, "a", "1")
	missing := o
	missing.Location = "ssh://" + shell.Address + "/other.git"
	refused(t, open(t, missing), gitops.SourceUnreachable, "the server says")
	shell.Hang(true)
	hanging := o
	hanging.Answer = 100 * time.Millisecond
	refused(t, open(t, hanging), gitops.SourceUnreachable, "no answer within 100ms")
	shell.Hang(false)
	fetch(t, open(t, o))
	shell.Close()
	refused(t, open(t, o), gitops.SourceUnreachable, "git ls-remote")
	o.Credentials.SSHKeyFile = ""
	refused(t, open(t, o), gitops.SourceDenied, "neither a key file nor an agent")
}

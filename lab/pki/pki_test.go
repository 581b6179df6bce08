package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/pki"
)

func open(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	a, err := pki.OpenAuthority(dir, "ca", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhatAnAuthoritySignedOutlastsARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := open(t, dir)
	cert, key := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	if err := before.Ensure(cert, key, pki.Leaf{CommonName: "server", Hosts: []string{"127.0.0.1", "name.example"}}); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	after := open(t, dir)
	if !bytes.Equal(before.PEM, after.PEM) {
		t.Error("the authority is another")
	}
	if err := after.Ensure(cert, key, pki.Leaf{CommonName: "server"}); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("a good certificate was replaced")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(after.PEM)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "name.example"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
			t.Errorf("as %s: %v", host, err)
		}
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "other.example"}); err == nil {
		t.Error("the certificate is good for a host that it was not made for")
	}
}

func TestACertificateOfAnotherAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	if err := open(t, t.TempDir()).Ensure(cert, key, pki.Leaf{CommonName: "a"}); err != nil {
		t.Fatal(err)
	}
	own := open(t, dir)
	if err := own.Ensure(cert, key, pki.Leaf{CommonName: "a", Organizations: []string{"system:masters"}}); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(own.PEM)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}

func TestKeysAreTheirOwnersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	if err := pki.EnsureRSA(filepath.Join(dir, "sa.key")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.key"))
	if err != nil || len(files) != 2 {
		t.Fatalf("keys are %v, %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", file, info.Mode())
		}
	}
}

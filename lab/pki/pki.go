// Package pki makes the certificates of a lab: one authority per purpose and what it signs.
//
// Input: a folder. Output: PEM files in it, made once and read again after a restart. Invariants: private keys are readable
// by their owner only; what an authority has signed stays valid over a restart.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is how long certificates last. A lab that is older than that is thrown away.
const validity = 5 * 365 * 24 * time.Hour

// Authority signs certificates.
type Authority struct {
	// CertFile and KeyFile hold the authority's own certificate and key as PEM.
	CertFile, KeyFile string
	// PEM is the content of CertFile.
	PEM  []byte
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// OpenAuthority reads the authority name from dir, or makes it.
func OpenAuthority(dir, name string, now func() time.Time) (*Authority, error) {
	a := &Authority{CertFile: filepath.Join(dir, name+".crt"), KeyFile: filepath.Join(dir, name+".key"), now: now}
	err := a.read()
	if errors.Is(err, fs.ErrNotExist) {
		err = a.create(name)
	}
	if err != nil {
		return nil, fmt.Errorf("opening certificate authority %s: %w", name, err)
	}
	return a, nil
}

func (a *Authority) read() error {
	pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	if err != nil {
		return err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("the key cannot sign")
	}
	a.cert, a.key = pair.Leaf, key
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw})
	return nil
}

func (a *Authority) create(name string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := a.template(pkix.Name{CommonName: name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := writePair(a.CertFile, a.KeyFile, der, key); err != nil {
		return err
	}
	return a.read()
}

func (a *Authority) template(subject pkix.Name) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		serial = big.NewInt(a.now().UnixNano())
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: subject,
		// An hour back: clocks of one machine may still be read in different orders.
		NotBefore: a.now().Add(-time.Hour), NotAfter: a.now().Add(validity),
	}
}

// Leaf says what a certificate is for.
type Leaf struct {
	CommonName    string
	Organizations []string // Kubernetes groups of a client
	// Hosts are DNS names and IP addresses of a server; none make a client certificate.
	Hosts []string
}

// Issue makes a certificate and keeps it in memory only.
func (a *Authority) Issue(l Leaf) (tls.Certificate, error) {
	der, key, err := a.sign(l)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Ensure makes sure that certFile and keyFile hold a certificate of this authority; an existing one is kept.
func (a *Authority) Ensure(certFile, keyFile string, l Leaf) error {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && pair.Leaf.CheckSignatureFrom(a.cert) == nil {
		return nil
	}
	der, key, err := a.sign(l)
	if err != nil {
		return err
	}
	return writePair(certFile, keyFile, der, key)
}

func (a *Authority) sign(l Leaf) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key for %s: %w", l.CommonName, err)
	}
	template := a.template(pkix.Name{CommonName: l.CommonName, Organization: l.Organizations})
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, host := range l.Hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate of %s: %w", l.CommonName, err)
	}
	return der, key, nil
}

func writePair(certFile, keyFile string, der []byte, key crypto.PrivateKey) error {
	if err := writeKey(keyFile, key); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

func writeKey(file string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// EnsureRSA makes sure that file holds an RSA key, the kind that EKS signs service account tokens with.
func EnsureRSA(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("making %s: %w", file, err)
	}
	return writeKey(file, key)
}

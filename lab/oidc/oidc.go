// Package oidc serves the OpenID Connect issuers of the lab's clusters: what AWS (and anybody else) needs to verify their
// service account tokens.
//
// Input: the public keys of clusters. Output: the discovery document and the key set below the issuer's URL, as EKS serves
// them at oidc.eks.REGION.amazonaws.com/id/ID (OpenID Connect Discovery 1.0, section 4). Invariant: private keys stay where
// they are.
package oidc

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
)

// Issuers serves all issuers of a lab.
type Issuers struct {
	base string

	mu   sync.Mutex
	keys map[string]*rsa.PublicKey
}

// New makes an empty set of issuers below a base URL ("https://127.0.0.1:4443").
func New(base string) *Issuers { return &Issuers{base: base, keys: map[string]*rsa.PublicKey{}} }

// URL is the issuer of a cluster.
func (i *Issuers) URL(id string) string { return i.base + "/id/" + id }

// Add publishes the public half of the key in a PEM file.
func (i *Issuers) Add(id, keyFile string) error {
	content, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("publishing issuer %s: %w", id, err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return fmt.Errorf("publishing issuer %s: %s holds no PEM", id, keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("publishing issuer %s: %w", id, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("publishing issuer %s: %w", id, errors.New("it is no RSA key"))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id] = &key.PublicKey
	return nil
}

// Remove takes an issuer away.
func (i *Issuers) Remove(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.keys, id)
}

// ServeHTTP implements http.Handler.
func (i *Issuers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/id/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	id, document, _ := strings.Cut(path, "/")
	i.mu.Lock()
	key := i.keys[id]
	i.mu.Unlock()
	if key == nil {
		http.NotFound(w, r)
		return
	}
	switch document {
	case ".well-known/openid-configuration":
		answer(w, map[string]any{
			"issuer": i.URL(id), "jwks_uri": i.URL(id) + "/keys", "authorization_endpoint": "urn:kubernetes:programmatic_authorization",
			"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
			"claims_supported": []string{"sub", "iss"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case "keys":
		answer(w, map[string]any{"keys": []any{jwk(key)}})
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// jwk is the key in the form of RFC 7517, with the id that Kubernetes gives it in tokens: the hash of its DER form.
func jwk(key *rsa.PublicKey) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	id := ""
	if der, err := x509.MarshalPKIXPublicKey(key); err == nil {
		sum := sha256.Sum256(der)
		id = encode(sum[:])
	}
	return map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}
}

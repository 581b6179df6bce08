package oidc_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/eks-gitops/reconciler/lab/oidc"
	"github.com/eks-gitops/reconciler/lab/pki"
)

func get(t *testing.T, h http.Handler, path string, into any) int {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	if recorder.Code == http.StatusOK {
		if err := json.Unmarshal(recorder.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	return recorder.Code
}

func TestATokenCanBeVerifiedByTheIssuersKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sa.key")
	if err := pki.EnsureRSA(file); err != nil {
		t.Fatal(err)
	}
	issuers := oidc.New("https://127.0.0.1:4443")
	if err := issuers.Add("ABC", file); err != nil {
		t.Fatal(err)
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if code := get(t, issuers, "/id/ABC/.well-known/openid-configuration", &discovery); code != http.StatusOK {
		t.Fatalf("discovery answers %d", code)
	}
	if discovery.Issuer != issuers.URL("ABC") || discovery.JWKS != issuers.URL("ABC")+"/keys" {
		t.Errorf("discovery says %+v", discovery)
	}
	var keys struct{ Keys []struct{ N, E, Alg string } }
	if code := get(t, issuers, "/id/ABC/keys", &keys); code != http.StatusOK || len(keys.Keys) != 1 {
		t.Fatalf("keys answer %d, %+v", code, keys)
	}
	public := &rsa.PublicKey{N: number(t, keys.Keys[0].N), E: int(number(t, keys.Keys[0].E).Int64())}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("a token"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private.(*rsa.PrivateKey), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil {
		t.Error(err)
	}
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(b)
}

func TestUnknownIssuersAreNotFound(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sa.key")
	if err := pki.EnsureRSA(file); err != nil {
		t.Fatal(err)
	}
	issuers := oidc.New("https://127.0.0.1:4443")
	if err := issuers.Add("ABC", file); err != nil {
		t.Fatal(err)
	}
	issuers.Remove("ABC")
	for _, path := range []string{"/id/ABC/keys", "/id/", "/id/ABC", "/", "/id/ABC/sa.key"} {
		if code := get(t, issuers, path, nil); code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, code)
		}
	}
}

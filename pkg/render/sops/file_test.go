package sops_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

func TestPlainFilesAreNotEncrypted(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty.yaml":   "",
		"object.yaml":  "kind: ConfigMap\n",
		"sops.yaml":    "# mac\nsops: {version: 3}\n",
		"about.yaml":   "data:\n  readme: |\n    sops:\n        mac: ENC[]\n",
		"broken.yaml":  "sops:\n  mac: [\n",
		"other.json":   `{"sops": 1, "mac": 2}`,
		"broken.json":  `{"sops": {"mac": `,
		"list.yaml":    "- sops:\n    mac: x\n",
		"template.env": "SOPS_MAC=1\nsops=mac\n",
	} {
		if f, failed := sops.Read(name, []byte(body)); f != nil || failed != nil {
			t.Errorf("%s: %v, %v", name, f, failed)
		}
	}
	entries, err := os.ReadDir("testdata/plain")
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	for _, e := range entries {
		if f, failed := sops.Read(e.Name(), read(t, "plain/"+e.Name())); f != nil || failed != nil {
			t.Errorf("%s: %v, %v", e.Name(), f, failed)
		}
	}
}

// open decrypts with all keys of testdata.
func open(t *testing.T, name string, body []byte) (*sops.Plain, *gitops.Error) {
	t.Helper()
	f, failed := sops.Read(name, body)
	if failed != nil {
		return nil, failed
	}
	if f == nil {
		t.Fatalf("%s is not taken for encrypted", name)
	}
	return f.Decrypt(t.Context(), keys(t, "one", "two", "three"))
}

var sealed = regexp.MustCompile(`ENC\[AES256_GCM,data:[^,]+,iv:[^\]]*,type:str\]`)

// TestTampering changes files in every way that leaves them readable.
func TestTampering(t *testing.T) {
	t.Parallel()
	replace := func(name, from, to string) []byte {
		body := read(t, "encrypted/"+name)
		if !bytes.Contains(body, []byte(from)) {
			t.Fatalf("%s has no %q", name, from)
		}
		return bytes.Replace(body, []byte(from), []byte(to), 1)
	}
	swapped := func(name string) []byte {
		body := read(t, "encrypted/"+name)
		found := sealed.FindAll(body, -1)
		out := bytes.Replace(body, found[0], []byte("@"), 1)
		out = bytes.Replace(out, found[1], found[0], 1)
		return bytes.Replace(out, []byte("@"), found[1], 1)
	}
	first := func(name, to string) []byte {
		body := read(t, "encrypted/"+name)
		return bytes.Replace(body, sealed.Find(body), []byte(to), 1)
	}
	for name, c := range map[string]struct {
		file string
		body []byte
		want string
	}{
		"plain value":       {"suffix.yaml", replace("suffix.yaml", "seen", "seem"), "MAC"},
		"plain item gone":   {"suffix.yaml", replace("suffix.yaml", "        - 1\n", ""), "MAC"},
		"plain json":        {"config.json", replace("config.json", "seen", "seem"), "MAC"},
		"plain dotenv":      {"app.env", replace("app.env", "https", "httpx"), "MAC"},
		"plain ini":         {"app.ini", replace("app.ini", "= seen", "= seem"), "MAC"},
		"time":              {"suffix.yaml", replace("suffix.yaml", `lastmodified: "20`, `lastmodified: "19`), "MAC"},
		"rule":              {"suffix.yaml", replace("suffix.yaml", "unencrypted_suffix: _open", "encrypted_regex: token"), "MAC"},
		"secrets exchanged": {"secret.yaml", swapped("secret.yaml"), "the value of stringData.user cannot be decrypted"},
		"exchanged in env":  {"app.env", swapped("app.env"), "the value of USER cannot be decrypted"},
		"exchanged in json": {"config.json", swapped("config.json"), "the value of host cannot be decrypted"},
		"exchanged in ini":  {"app.ini", swapped("app.ini"), "the value of DEFAULT.top cannot be decrypted"},
		"secret in plain":   {"secret.yaml", first("secret.yaml", "hunter2"), "the value of stringData.user cannot be decrypted: it should be encrypted and is not"},
		"secret a number":   {"secret.yaml", first("secret.yaml", "42"), "the value of stringData.user should be encrypted and is not"},
		"secret emptied":    {"secret.yaml", first("secret.yaml", `""`), "MAC"},
		"binary":            {"keystore.p12", replace("keystore.p12", "type:str", "type:int"), "cannot be decrypted"},
		"two rules":         {"suffix.yaml", replace("suffix.yaml", "unencrypted_suffix: _open", "unencrypted_suffix: _open\n    encrypted_suffix: _x"), "both"},
		"no keys":           {"app.env", regexp.MustCompile(`(?m)^sops_age.*\n`).ReplaceAll(read(t, "encrypted/app.env"), nil), "names no key"},
		"later document":    {"documents.yaml", append([]byte("a: b\n---\n"), read(t, "encrypted/documents.yaml")...), ""},
		"folded":            {"secret.yaml", []byte(strings.Replace(string(read(t, "encrypted/secret.yaml")), "user: ENC", "user: >-\n        ENC", 1)), "not on one line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "later document" {
				if f, failed := sops.Read(c.file, c.body); f != nil || failed != nil {
					t.Errorf("%v, %v", f, failed) // the first document is what sops looks at
				}
				return
			}
			plain, failed := open(t, c.file, c.body)
			if failed == nil {
				t.Fatalf("it opens:\n%s", plain.Text)
			}
			said := failed.Error()
			if failed.Reason != gitops.DecryptFailed || failed.From.File != c.file || !strings.Contains(said, c.want) {
				t.Errorf("%s, want %s", said, c.want)
			}
			for _, secret := range []string{"hunter2", "hidden-", "correct horse", "ENC["} {
				if strings.Contains(said, secret) {
					t.Errorf("%s tells %s", said, secret)
				}
			}
		})
	}
}

func TestMacOnlyEncrypted(t *testing.T) {
	t.Parallel()
	body := bytes.Replace(read(t, "encrypted/mac-only.yaml"), []byte("plain: seen"), []byte("plain: changed"), 1)
	plain, failed := open(t, "mac-only.yaml", body)
	if failed != nil || !bytes.Contains(plain.Text, []byte("plain: changed")) {
		t.Errorf("what the MAC does not cover may be changed: %v", failed)
	}
}

func TestKeyGroups(t *testing.T) {
	t.Parallel()
	f, failed := sops.Read("groups.yaml", read(t, "encrypted/groups.yaml"))
	if failed != nil {
		t.Fatal(failed)
	}
	for _, names := range [][]string{{"one", "two"}, {"three", "one"}, {"two", "three"}, {"one", "two", "three"}} {
		if _, failed := f.Decrypt(t.Context(), keys(t, names...)); failed != nil {
			t.Errorf("%v: %v", names, failed)
		}
	}
	for _, names := range [][]string{{"one"}, {"two"}, {"hybrid"}} {
		_, failed := f.Decrypt(t.Context(), keys(t, names...))
		if failed == nil || !strings.Contains(failed.Error(), "keys of 2 of its 3 key groups are needed") {
			t.Errorf("%v: %v", names, failed)
		}
	}
}

func TestHybridKey(t *testing.T) {
	t.Parallel()
	f, failed := sops.Read("hybrid.yaml", read(t, "encrypted/hybrid.yaml"))
	if failed != nil {
		t.Fatal(failed)
	}
	if _, failed := f.Decrypt(t.Context(), keys(t, "hybrid")); failed != nil {
		t.Error(failed)
	}
}

// kms opens what a test says it may.
type kms struct {
	key  []byte
	seen []any
	err  error
}

func (k *kms) Decrypt(_ context.Context, arn, role string, encryptionContext map[string]string, blob []byte) ([]byte, error) {
	k.seen = append(k.seen, arn, role, encryptionContext, string(blob))
	return bytes.Clone(k.key), k.err
}

const arn = "arn:aws:kms:eu-west-1:111122223333:key/1"

// forKMS is suffix.yaml with its data key for AWS KMS (metadata is not covered by the MAC), and that key.
func forKMS(t *testing.T) (body, key []byte) {
	t.Helper()
	body = read(t, "encrypted/suffix.yaml")
	armored := regexp.MustCompile(`(?s)-----BEGIN.*END AGE ENCRYPTED FILE-----`).Find(body)
	identities, err := age.ParseIdentities(bytes.NewReader(read(t, "one.agekey")))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(regexp.MustCompile(`(?m)^ +`).ReplaceAll(armored, nil))), identities...)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	keep, _, _ := bytes.Cut(body, []byte("    age:\n"))
	_, rest, _ := bytes.Cut(body, []byte("    lastmodified:"))
	enc := base64.StdEncoding.EncodeToString([]byte("wrapped"))
	entry := "    kms:\n        - arn: " + arn + "\n          role: arn:aws:iam::111122223333:role/keys\n          context: {app: shop}\n          created_at: \"2026-01-01T00:00:00Z\"\n" +
		"          enc: " + enc + "\n          aws_profile: \"\"\n    pgp:\n        - fp: FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4\n          enc: x\n    lastmodified:"
	return append(append(bytes.Clone(keep), entry...), rest...), key
}

func TestKMS(t *testing.T) {
	t.Parallel()
	body, key := forKMS(t)
	f, failed := sops.Read("kms.yaml", body)
	if failed != nil {
		t.Fatal(failed)
	}
	if diff := cmp.Diff([]string{"AWS KMS " + arn, "PGP FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"}, f.Recipients()); diff != "" {
		t.Error(diff)
	}
	aws := &kms{key: key}
	plain, failed := f.Decrypt(t.Context(), sops.Keys{KMS: aws})
	if failed != nil || !bytes.Contains(plain.Text, []byte("hidden-1")) {
		t.Errorf("%v", failed)
	}
	if diff := cmp.Diff([]any{arn, "arn:aws:iam::111122223333:role/keys", map[string]string{"app": "shop"}, "wrapped"}, aws.seen); diff != "" {
		t.Error(diff)
	}
	for want, k := range map[string]sops.Keys{
		"(AWS KMS is not asked)":                            {},
		"(KMS:Decrypt: AccessDeniedException: not for you)": {KMS: &kms{err: errors.New("KMS:Decrypt: AccessDeniedException: not for you")}},
		"the value of password cannot be decrypted":         {KMS: &kms{key: bytes.Repeat([]byte{1}, 32)}},
		"the data key has the wrong length":                 {KMS: &kms{key: []byte("short")}},
	} {
		_, failed := f.Decrypt(t.Context(), k)
		if failed == nil || failed.Reason != gitops.DecryptFailed || !strings.Contains(failed.Error(), want) {
			t.Errorf("%v, want %s", failed, want)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, failed := f.Decrypt(stopped, sops.Keys{KMS: &kms{err: context.Canceled}}); failed == nil || failed.Reason != gitops.Interrupted {
		t.Errorf("%v", failed)
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("testdata/encrypted")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		body := read(t, "encrypted/"+e.Name())
		f, failed := sops.Read(e.Name(), body)
		if failed != nil {
			t.Fatal(failed)
		}
		p := f.Placeholders()
		if _, err := p.Output(); err != nil || len(p.Values) == 0 {
			t.Errorf("%s: %v, %d values", e.Name(), err, len(p.Values))
		}
		if sealed.Match(p.Text) {
			t.Errorf("%s:\n%s", e.Name(), p.Text)
		}
	}
}

// FuzzRead looks for files that make the reader give up in another way than with an error.
func FuzzRead(f *testing.F) {
	entries, err := os.ReadDir("testdata/encrypted")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		body, err := os.ReadFile("testdata/encrypted/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Name(), body)
	}
	f.Fuzz(func(_ *testing.T, name string, body []byte) {
		file, failed := sops.Read(name, body)
		if file == nil || failed != nil {
			return
		}
		_, _ = file.Placeholders().Output()
		_, _ = file.Decrypt(context.Background(), sops.Keys{})
	})
}

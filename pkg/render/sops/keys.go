package sops

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Keys is what files are decrypted with. The zero value opens nothing.
type Keys struct {
	// Age reads the files with age identities; nil means none. It is asked for every file, so that a rotated key is used at once.
	Age func() ([]KeyFile, error)
	// KMS asks AWS; nil means that AWS is not asked.
	KMS KMS
	// Try is the next command for whoever lacks a key.
	Try string
	// ID tells these keys from others that the same process uses; equal keys have equal IDs.
	ID string
}

// KeyFile is a file with age identities, as age-keygen writes it.
type KeyFile struct {
	Name string
	Text []byte
}

// KMS decrypts with keys of AWS Key Management Service.
type KMS interface {
	// Decrypt decrypts what the key encrypted under an encryption context, as the role, if one is named.
	Decrypt(ctx context.Context, keyARN, role string, encryptionContext map[string]string, blob []byte) ([]byte, error)
}

// dataKey finds the key of the values: by one key of a group, or by one key of each of enough groups.
func (f *File) dataKey(ctx context.Context, keys Keys) ([]byte, *gitops.Error) {
	need := max(1, f.meta.threshold)
	var shares [][]byte
	var why []string
	identities, err := keys.identities()
	if err != nil {
		why = append(why, err.Error())
	}
	for _, group := range f.meta.groups {
		share, tried := groupKey(ctx, group, keys, identities)
		why = append(why, tried...)
		if share == nil {
			continue
		}
		if shares = append(shares, share); len(shares) == need {
			break
		}
	}
	defer func() {
		for _, share := range shares {
			clear(share)
		}
	}()
	if len(shares) < need {
		return nil, f.noKey(ctx, keys, len(shares), need, why)
	}
	if f.meta.threshold == 0 {
		return slices.Clone(shares[0]), nil
	}
	key, err := combine(shares)
	if err != nil {
		return nil, f.fail(f.line, "the shares of its key groups do not fit together")
	}
	return key, nil
}

// noKey says which keys would open the file.
func (f *File) noKey(ctx context.Context, keys Keys, have, need int, why []string) *gitops.Error {
	if ctx.Err() != nil {
		return gitops.Errorf(gitops.Interrupted, "decrypting %s: %w", f.name, ctx.Err())
	}
	said := "no key at hand opens it; it is encrypted for " + strings.Join(f.Recipients(), ", ")
	if need > 1 {
		said = fmt.Sprintf("keys of %d of its %d key groups are needed, and those of %d are at hand; it is encrypted for %s", need, len(f.meta.groups), have, strings.Join(f.Recipients(), ", "))
	}
	slices.Sort(why)
	if why = slices.Compact(why); len(why) > 0 {
		said += " (" + strings.Join(why, "; ") + ")"
	}
	e := f.fail(f.line, "%s", said)
	e.Try = keys.Try
	return e
}

// groupKey is what one key of a group opens, and why others do not.
func groupKey(ctx context.Context, group []masterKey, keys Keys, identities []age.Identity) ([]byte, []string) {
	var why []string
	// Keys that are here come before keys that must be asked for.
	for _, kind := range []string{"age", "kms"} {
		for _, k := range group {
			if k.kind != kind {
				continue
			}
			share, err := k.open(ctx, keys, identities)
			if err == nil {
				return share, nil
			}
			if said := err.Error(); said != "" {
				why = append(why, said)
			}
		}
	}
	return nil, why
}

func (k masterKey) open(ctx context.Context, keys Keys, identities []age.Identity) ([]byte, error) {
	if k.kind == "age" {
		return openAge(k, identities)
	}
	if keys.KMS == nil {
		return nil, errors.New("AWS KMS is not asked")
	}
	blob, err := base64.StdEncoding.DecodeString(k.enc)
	if err != nil {
		return nil, fmt.Errorf("what %s encrypted is not base64", k)
	}
	return keys.KMS.Decrypt(ctx, k.id, k.role, k.context, blob)
}

func openAge(k masterKey, identities []age.Identity) ([]byte, error) {
	if len(identities) == 0 {
		return nil, errors.New("there is no age identity")
	}
	// The errors of age may quote what they read; that no identity fits is all there is to know.
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(k.enc)), identities...)
	if err != nil {
		return nil, fmt.Errorf("none of %d age identities fits", len(identities))
	}
	key, err := io.ReadAll(io.LimitReader(r, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("what is encrypted for %s is broken", k)
	}
	return key, nil
}

// identities parses the key files. The content of a line is never quoted: it may be a key, mistyped.
func (k Keys) identities() ([]age.Identity, error) {
	if k.Age == nil {
		return nil, nil
	}
	files, err := k.Age()
	var out []age.Identity
	for _, file := range files {
		for i, line := range bytes.Split(file.Text, []byte("\n")) {
			line = bytes.TrimSpace(line)
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			parsed, bad := age.ParseIdentities(bytes.NewReader(line))
			if bad != nil {
				return out, errors.Join(err, fmt.Errorf("%s: line %d is not an age identity (want AGE-SECRET-KEY-...)", file.Name, i+1))
			}
			out = append(out, parsed...)
		}
	}
	return out, err
}

// combine puts shares of Shamir's scheme together: every byte of the secret is a polynomial over GF(2^8) at 0, and a share is
// the values of all of them at the point that its last byte names.
func combine(shares [][]byte) ([]byte, error) {
	size := len(shares[0])
	seen := map[byte]bool{}
	for _, s := range shares {
		if len(s) != size || size < 2 || s[size-1] == 0 || seen[s[size-1]] {
			return nil, errors.New("the shares do not fit together")
		}
		seen[s[size-1]] = true
	}
	out := make([]byte, size-1)
	for i, s := range shares {
		// Lagrange's basis polynomial of this share at 0; subtraction is addition, and addition is xor.
		weight := byte(1)
		for j, other := range shares {
			if i != j {
				weight = multiply(weight, multiply(other[size-1], inverse(other[size-1]^s[size-1])))
			}
		}
		for b := range out {
			out[b] ^= multiply(weight, s[b])
		}
	}
	return out, nil
}

// multiply multiplies in GF(2^8) modulo x^8+x^4+x^3+x+1.
func multiply(a, b byte) byte {
	var out byte
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			out ^= a
		}
		carry := a >> 7
		a = a<<1 ^ carry*0x1b
	}
	return out
}

// inverse is a^254, as the group has 255 elements.
func inverse(a byte) byte {
	out := byte(1)
	for range 254 {
		out = multiply(out, a)
	}
	return out
}

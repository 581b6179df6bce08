package sops

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// sealed is the form of an encrypted value.
var sealed = regexp.MustCompile(`^ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]*),tag:([A-Za-z0-9+/=]*),type:([a-z]+)\]$`)

// errChanged is all that is told of a value that does not open: it, or its place, is not what was encrypted.
var errChanged = errors.New("it does not open with the file's key: it was changed or moved after it was encrypted")

// open decrypts one value. What it was encrypted with as additional data is its path.
func open(said string, key []byte, additional string) (v any, err error) {
	if said == "" {
		return "", nil
	}
	m := sealed.FindStringSubmatch(said)
	if m == nil {
		return nil, errors.New("it should be encrypted and is not")
	}
	var parts [3][]byte
	for i := range parts {
		if parts[i], err = base64.StdEncoding.DecodeString(m[i+1]); err != nil {
			return nil, errChanged
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("the data key has the wrong length")
	}
	if len(parts[1]) == 0 {
		return nil, errChanged
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(parts[1]))
	if err != nil {
		return nil, errChanged
	}
	body, err := gcm.Open(nil, parts[1], slices.Concat(parts[0], parts[2]), []byte(additional))
	if err != nil {
		return nil, errChanged
	}
	if v, err = typed(string(body), m[4]); err != nil {
		return nil, fmt.Errorf("it is not of the type %s that it claims to be", m[4])
	}
	return v, nil
}

// comment is the text of a comment. In lists, SOPS writes encrypted comments as if they were items.
type comment string

func typed(body, kind string) (any, error) {
	switch kind {
	case "str", "bytes":
		return body, nil
	case "comment":
		return comment(body), nil
	case "int":
		return strconv.Atoi(body)
	case "float":
		return strconv.ParseFloat(body, 64)
	case "bool":
		return strconv.ParseBool(body)
	case "time":
		var t time.Time
		err := t.UnmarshalText([]byte(body))
		return t, err
	}
	return nil, errors.New("unknown type")
}

// digested is a value as the MAC covers it; not ok is one that SOPS cannot hold.
func digested(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case time.Time:
		body, err := v.MarshalText()
		return string(body), err == nil
	}
	return "", false
}

// onlyEncryptedSeed begins the MAC of files whose MAC covers encrypted values only: the SHA-256 of "sops".
const onlyEncryptedSeed = "8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69"

// Decrypt opens the file with whatever key fits.
func (f *File) Decrypt(ctx context.Context, keys Keys) (*Plain, *gitops.Error) {
	key, failed := f.dataKey(ctx, keys)
	if failed != nil {
		return nil, failed
	}
	defer clear(key)
	return f.decrypt(key)
}

// decrypt opens every value, checks the MAC, and puts the values where they were.
func (f *File) decrypt(key []byte) (*Plain, *gitops.Error) {
	mac := sha512.New()
	if f.meta.onlyEncrypted {
		seed, _ := hex.DecodeString(onlyEncryptedSeed)
		mac.Write(seed)
	}
	p := &Plain{store: f.store}
	edits := slices.Clone(f.cuts)
	comments := map[string]string{}
	for _, l := range f.leaves {
		encrypted := f.meta.rule.encrypted(l)
		v := l.value
		if encrypted {
			said, isText := v.(string)
			opened, err := open(said, key, strings.Join(l.path, ":")+":")
			switch {
			case l.comment && err != nil:
				continue // comments that were never encrypted are left alone, as SOPS does
			case l.comment && l.end == 0:
				comments["#"+said] = "#" + valueText(opened)
				continue
			case !isText:
				return nil, f.fail(l.line, "the value of %s should be encrypted and is not", place(l))
			case err != nil:
				return nil, f.fail(l.line, "the value of %s cannot be decrypted: %w", place(l), err)
			}
			v = opened
			if c, ok := v.(comment); ok {
				edits = append(edits, f.item(l, c))
				continue
			}
			if said != "" {
				edits = append(edits, edit{l.start, l.end, f.store.quote(v, string(f.body[l.start:l.end]))})
			}
			if !l.comment {
				p.Values = append(p.Values, Value{Path: l.path, Document: l.document, Text: valueText(v)})
			}
		}
		if failed := f.cover(mac, l, v, encrypted); failed != nil {
			return nil, failed
		}
	}
	if failed := f.intact(mac, key); failed != nil {
		return nil, failed
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	p.Text, p.comments = replaceComments(apply(f.body, edits), comments), slices.Collect(maps.Values(comments))
	return p, nil
}

// intact compares the MAC of what was read with the one in the file.
func (f *File) intact(mac hash.Hash, key []byte) *gitops.Error {
	stored, err := open(f.meta.mac, key, f.meta.modified)
	if said, ok := stored.(string); err == nil && ok && hmac.Equal([]byte(said), fmt.Appendf(nil, "%X", mac.Sum(nil))) {
		return nil
	}
	e := f.fail(f.line, "its MAC does not fit: the file was changed after it was encrypted, other than with sops")
	e.Try = "restore it from an earlier commit, or encrypt it anew: sops edit " + f.name
	return e
}

// item is the edit that makes a comment of what SOPS wrote as an item of a list.
func (f *File) item(l leaf, c comment) edit {
	start := bytes.LastIndexByte(f.body[:l.start], '-')
	if _, isYAML := f.store.(yamlStore); !isYAML || start < 0 || len(bytes.TrimSpace(f.body[start+1:l.start])) > 0 {
		return edit{l.start, l.end, f.store.quote(string(c), "")}
	}
	return edit{start, l.end, "#" + string(c)}
}

// cover adds a leaf to the MAC.
func (f *File) cover(mac hash.Hash, l leaf, v any, encrypted bool) *gitops.Error {
	if l.comment || f.meta.onlyEncrypted && !encrypted {
		return nil
	}
	body, ok := digested(v)
	if !ok {
		return f.fail(l.line, "the value of %s is of a kind that sops does not write", place(l))
	}
	mac.Write([]byte(body))
	return nil
}

// valueText is a value as it is written in text.
func valueText(v any) string {
	switch v := v.(type) {
	case comment:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	body, _ := digested(v)
	return body
}

// place names a leaf. Keys are not encrypted by SOPS.
func place(l leaf) string {
	if len(l.path) == 0 {
		return "the top level"
	}
	return strings.Join(l.path, ".")
}

// replaceComments puts decrypted comments in place. A ciphertext is in a file once: every one has its own nonce.
func replaceComments(body []byte, comments map[string]string) []byte {
	if len(comments) == 0 {
		return body
	}
	pairs := make([]string, 0, 2*len(comments))
	for from, to := range comments {
		pairs = append(pairs, from, to)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(body)))
}

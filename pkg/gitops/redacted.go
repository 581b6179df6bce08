package gitops

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

const (
	redactedOpen  = "‹secret:"
	redactedClose = "›"
)

// Redactor replaces secret values by keyed marks: equal values have equal marks, so a diff still works, and without the
// key a mark cannot be tested against guesses.
type Redactor struct {
	// Key is per cluster and is never stored where plans and records are.
	Key []byte
}

// Value gives the mark of a secret value. The form is text, so that plans and records can be read back.
func (r Redactor) Value(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte("unmarshalable")
	}
	mac := hmac.New(sha256.New, r.Key)
	mac.Write(body)
	return redactedOpen + hex.EncodeToString(mac.Sum(nil)[:8]) + redactedClose
}

// IsRedacted reports whether v is a mark of Value.
func IsRedacted(v any) bool {
	s, ok := v.(string)
	return ok && strings.HasPrefix(s, redactedOpen) && strings.HasSuffix(s, redactedClose)
}

// lastApplied is where `kubectl apply` keeps a copy of the whole object, secrets included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Tree returns t with every secret leaf replaced: the data of Secrets, and the last-applied annotation of anything.
// t itself is not changed; it is returned as it is when there is nothing to hide.
func (r Redactor) Tree(ref Ref, t Tree) Tree {
	secret := ref.Domain == K8s && ref.Group == "" && ref.Kind == "Secret"
	_, annotated := At(t, "metadata", "annotations", lastApplied)
	if t == nil || (!secret && !annotated) {
		return t
	}
	out := Clone(t)
	if annotated {
		annotations := TreeAt(out, "metadata", "annotations")
		annotations[lastApplied] = r.Value(annotations[lastApplied])
	}
	if secret {
		for _, field := range []string{"data", "stringData"} {
			switch values := out[field].(type) {
			case Tree:
				for k, v := range values {
					values[k] = r.Value(v)
				}
			case nil:
			default:
				out[field] = r.Value(values)
			}
		}
	}
	return out
}

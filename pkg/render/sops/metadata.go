package sops

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metadata is what SOPS keeps beside the content.
type metadata struct {
	mac      string
	modified string
	// onlyEncrypted says that the MAC covers encrypted values only.
	onlyEncrypted bool
	groups        [][]masterKey
	// threshold is how many groups are needed.
	threshold int
	rule      rule
}

// masterKey is one key that the data key, or a share of it, is encrypted for.
type masterKey struct {
	// kind is the field of the metadata: age, kms, pgp ...
	kind string
	// id is the recipient, ARN, fingerprint ...
	id string
	// role and context are of AWS KMS.
	role    string
	context map[string]string
	enc     string
}

// String names the key for people.
func (k masterKey) String() string {
	name := map[string]string{
		"age": "age", "kms": "AWS KMS", "pgp": "PGP", "gcp_kms": "GCP KMS", "azure_kv": "Azure Key Vault", "hc_vault": "Vault", "hckms": "Huawei KMS",
	}[k.kind]
	return strings.TrimSpace(name + " " + k.id)
}

// idFields are the fields that identify a key of each kind.
func idFields() map[string]string {
	return map[string]string{
		"age": "recipient", "kms": "arn", "pgp": "fp", "gcp_kms": "resource_id", "azure_kv": "name", "hc_vault": "key_name", "hckms": "key_id",
	}
}

func metadataOf(fields map[string]any) (metadata, error) {
	m := metadata{mac: text(fields["mac"]), onlyEncrypted: text(fields["mac_only_encrypted"]) == "true"}
	if m.mac == "" {
		return m, errors.New("it has no mac")
	}
	modified, err := time.Parse(time.RFC3339, text(fields["lastmodified"]))
	if err != nil {
		return m, errors.New("lastmodified is not a time")
	}
	m.modified = modified.Format(time.RFC3339)
	if m.rule, err = ruleOf(fields); err != nil {
		return m, err
	}
	if group := groupOf(fields); len(group) > 0 {
		m.groups = [][]masterKey{group}
		return m, nil
	}
	for _, g := range list(fields["key_groups"]) {
		inner, _ := g.(map[string]any)
		m.groups = append(m.groups, groupOf(inner))
	}
	if len(m.groups) == 0 {
		return m, errors.New("it names no key")
	}
	m.threshold = len(m.groups)
	if n := text(fields["shamir_threshold"]); n != "" && n != "0" {
		if m.threshold, err = strconv.Atoi(n); err != nil || m.threshold < 1 || m.threshold > len(m.groups) {
			return m, fmt.Errorf("shamir_threshold is %q with %d key groups", n, len(m.groups))
		}
	}
	return m, nil
}

func groupOf(fields map[string]any) []masterKey {
	var out []masterKey
	ids := idFields()
	for _, kind := range slices.Sorted(maps.Keys(ids)) {
		for _, one := range list(fields[kind]) {
			f, _ := one.(map[string]any)
			k := masterKey{kind: kind, id: text(f[ids[kind]]), role: text(f["role"]), enc: text(f["enc"])}
			if in, ok := f["context"].(map[string]any); ok && len(in) > 0 {
				k.context = map[string]string{}
				for name, value := range in {
					k.context[name] = text(value)
				}
			}
			out = append(out, k)
		}
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// text is a scalar as text; flat stores have nothing else.
func text(v any) string {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		return ""
	case string:
		return v
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// unflatten makes metadata of the names that flat stores give it: age__list_0__map_recipient.
func unflatten(flat map[string]string) (map[string]any, error) {
	root := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		at := root
		steps := regexp.MustCompile(`__map_|__list_`).Split(name, -1)
		for _, step := range steps[:len(steps)-1] {
			inner, ok := at[step].(map[string]any)
			if !ok {
				if at[step] != nil {
					return nil, fmt.Errorf("%s is given twice", step)
				}
				inner = map[string]any{}
				at[step] = inner
			}
			at = inner
		}
		at[steps[len(steps)-1]] = flat[name]
	}
	return lists(root).(map[string]any), nil
}

// lists makes lists of objects whose keys are 0, 1, 2 ...
func lists(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for k := range m {
		m[k] = lists(m[k])
	}
	out := make([]any, 0, len(m))
	for i := range len(m) {
		item, ok := m[strconv.Itoa(i)]
		if !ok {
			return m
		}
		out = append(out, item)
	}
	if len(out) == 0 {
		return m
	}
	return out
}

// rule says which values are encrypted; the zero rule means all.
type rule struct {
	kind string
	by   *regexp.Regexp
	end  string
}

// ruleOf reads the one rule of the metadata. Without one, SOPS leaves alone what ends in _unencrypted.
func ruleOf(fields map[string]any) (rule, error) {
	out := rule{kind: "unencrypted_suffix", end: "_unencrypted"}
	found := 0
	for _, kind := range []string{"unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex", "unencrypted_comment_regex", "encrypted_comment_regex"} {
		said := text(fields[kind])
		if said == "" {
			continue
		}
		if found++; found > 1 {
			return out, fmt.Errorf("it has both %s and %s", out.kind, kind)
		}
		out = rule{kind: kind}
		if strings.HasSuffix(kind, "suffix") {
			out.end = said
			continue
		}
		var err error
		if out.by, err = regexp.Compile(said); err != nil {
			return out, fmt.Errorf("%s is no regular expression", kind)
		}
	}
	return out, nil
}

// encrypted reports whether a leaf is one of those that are encrypted.
func (r rule) encrypted(l leaf) bool {
	hit := false
	switch r.kind {
	case "unencrypted_suffix", "encrypted_suffix":
		hit = slices.ContainsFunc(l.path, func(step string) bool { return strings.HasSuffix(step, r.end) })
	case "unencrypted_regex", "encrypted_regex":
		hit = slices.ContainsFunc(l.path, r.by.MatchString)
	default:
		hit = r.commented(l)
	}
	return hit == strings.HasPrefix(r.kind, "encrypted")
}

// commented reports whether a comment that applies to a leaf matches. The comment that asks for encryption is not encrypted itself.
func (r rule) commented(l leaf) bool {
	for i, level := range l.comments {
		for j, comment := range level {
			self := l.comment && i == len(l.comments)-1 && j == len(level)-1
			if (!self || r.kind != "encrypted_comment_regex") && r.by.MatchString(comment) {
				return true
			}
		}
	}
	return false
}

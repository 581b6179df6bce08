package render

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/provider"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
	"github.com/eks-gitops/reconciler/pkg/render/sops"
)

// Templates make anything of values: hashes, encodings, texts around them. So a chart with encrypted values is rendered a second
// time with other ones, and whatever differs then came out of the encrypted files.

// read gives a values file, and notes whether it is encrypted.
func (i *inflation) read(file string) ([]byte, *gitops.Error) {
	full := path.Join(i.layer.folder, file)
	body, err := i.view.text(full)
	if err != nil {
		return nil, unreadable(full, err)
	}
	if o := i.view.secrets.of(full); o != nil {
		i.secret = true
		if i.other {
			return o.otherwise(), nil
		}
	}
	return body, nil
}

// isValues reports whether a file is one of the values files.
func (i *inflation) isValues(file string) bool {
	for _, one := range append(slices.Clone(i.spec.AdditionalValuesFiles), i.spec.ValuesFile) {
		if path.Join(i.layer.folder, one) == file {
			return true
		}
	}
	return false
}

// unsealed is an error of a chart; with placeholders in the place of its values, nobody knows whether it is one.
func (i *inflation) unsealed(e *gitops.Error) *gitops.Error {
	if e == nil || !i.sealed || !i.secret {
		return e
	}
	return problem(gitops.DecryptFailed, i.at.File, i.at.Line, "chart %s cannot be rendered with placeholders for encrypted values: %w", i.spec.Name, ErrSealed)
}

// trace tells the decrypter what the chart made of encrypted values.
func (i *inflation) trace(made []chart.Manifest, release chart.Release) *gitops.Error {
	if !i.secret || i.sealed {
		return nil
	}
	again := &inflation{builder: i.builder, layer: i.layer, spec: i.spec, at: i.at, other: true}
	// The chart is loaded again: rendering takes the dependencies out that are not enabled.
	c, failed := again.find()
	if failed != nil {
		return failed
	}
	if release.Values, failed = again.values(c); failed != nil {
		return failed
	}
	others, err := c.Render(release)
	if err != nil {
		others = nil // it does not work with other values, so anything may have been made of these
	}
	texts, trees := map[string]bool{}, map[string][]gitops.Tree{}
	for _, m := range others {
		texts[m.Path+"\n"+m.Text] = true
		trees[m.Path] = append(trees[m.Path], objectsIn(m)...)
	}
	var found []sops.Value
	note := func(_ string, keys []string, said string) { found = append(found, sops.Value{Path: keys, Text: said}) }
	for _, m := range made {
		if texts[m.Path+"\n"+m.Text] {
			continue
		}
		for _, t := range objectsIn(m) {
			differing(nil, t, sameObject(t, trees[m.Path]), note)
		}
	}
	i.view.secrets.derived(found)
	return nil
}

// objectsIn are the objects of a manifest; none of one that is broken, which is told elsewhere.
func objectsIn(m chart.Manifest) []gitops.Tree {
	resources, err := provider.NewDefaultDepProvider().GetResourceFactory().SliceFromBytes([]byte(m.Text))
	if err != nil {
		return nil
	}
	var out []gitops.Tree
	for _, r := range resources {
		if t, err := treeOf(r, lean{}); err == nil {
			out = append(out, t)
		}
	}
	return out
}

// sameObject finds the object of the same name among others; nil when there is none.
func sameObject(t gitops.Tree, others []gitops.Tree) any {
	for _, other := range others {
		if refOf(other) == refOf(t) {
			return other
		}
	}
	return nil
}

// differing gives the values of v that are not the same in other.
func differing(keys []string, v, other any, do func(path string, keys []string, said string)) {
	switch v := v.(type) {
	case gitops.Tree:
		others, _ := other.(gitops.Tree)
		for key, inner := range v {
			differing(append(keys[:len(keys):len(keys)], key), inner, others[key], do)
		}
	case []any:
		others, _ := other.([]any)
		for at, inner := range v {
			var one any
			if at < len(others) {
				one = others[at]
			}
			differing(keys, inner, one, do)
		}
	default:
		if v != other {
			leaves("", keys, v, do)
		}
	}
}

// otherwise is the text of a values file with other values, of the same shape, in the place of those that were encrypted.
func (o *opened) otherwise() []byte {
	docs, failed := documents("", o.text)
	if failed != nil {
		return o.text // reading it for the chart failed, too
	}
	secret := map[string]bool{}
	for _, v := range o.values {
		secret[placed(v.Path, "")] = true
	}
	var out bytes.Buffer
	for _, doc := range docs {
		shift(nil, doc, secret)
		if body, err := yaml.Marshal(doc); err == nil {
			out.WriteString("---\n")
			out.Write(body)
		}
	}
	return out.Bytes()
}

// shift gives every secret below a node another value.
func shift(keys []string, n *yaml.Node, secret map[string]bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for at := 0; at+1 < len(n.Content); at += 2 {
			shift(append(keys[:len(keys):len(keys)], n.Content[at].Value), n.Content[at+1], secret)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			shift(keys, item, secret)
		}
	case yaml.ScalarNode:
		if !secret[placed(keys, "")] {
			return
		}
		switch n.ShortTag() {
		case "!!str":
			n.Value, n.Style = strings.Map(next, n.Value), yaml.DoubleQuotedStyle
		case "!!int", "!!float", "!!binary":
			n.Value = strings.Map(next, n.Value)
		}
	case yaml.DocumentNode, yaml.AliasNode:
	}
}

// next is another character of the same kind: what is a number stays one, what is base64, too.
func next(r rune) rune {
	switch {
	case r == 'z':
		return 'a'
	case r == 'Z':
		return 'A'
	case r == '9':
		return '0'
	case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)):
		return r + 1
	case unicode.IsLetter(r):
		return 'x'
	}
	return r
}

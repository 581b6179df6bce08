package render

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// patchText is one patch of a kustomization: a file, or text inside the kustomization.
type patchText struct {
	file string
	docs []*yaml.Node
	// offset is the line before the text when it stands inside another file.
	offset int
	target *yaml.Node
}

func (p patchText) line(n *yaml.Node) int { return n.Line + p.offset }

// patchesOf reads the patches of a kustomization, in the order in which kustomize applies them.
func (b *builder) patchesOf(l *layer) []patchText {
	var out []patchText
	add := func(file, inline, target *yaml.Node) {
		p := patchText{file: l.file, target: target}
		var body []byte
		switch {
		case inline != nil && inline.Value != "":
			body = []byte(inline.Value)
			p.offset = textLine(inline)
		case file != nil && file.Value != "":
			p.file = path.Join(l.folder, file.Value)
			body, _ = b.view.text(p.file)
		}
		p.docs, _ = documents(p.file, body)
		out = append(out, p)
	}
	_, list := child(l.root, "patchesStrategicMerge")
	for _, n := range items(list) {
		if strings.Contains(n.Value, "\n") {
			add(nil, n, nil)
		} else {
			add(n, nil, nil)
		}
	}
	for _, key := range []string{"patches", "patchesJson6902"} {
		_, list := child(l.root, key)
		for _, n := range items(list) {
			_, file := child(n, "path")
			_, inline := child(n, "patch")
			_, target := child(n, "target")
			add(file, inline, target)
		}
	}
	return out
}

// marker notes where fields of one object were set.
type marker struct {
	spec gitops.Tree
	out  map[string]gitops.Position
	// byIndex names list items by position, as a ClusterConfig's fields are named.
	byIndex bool
}

// mark notes the patches and transformers that set fields of an object: kustomize tells which kustomizations an object passed
// through, not what each of them did, so what they say is compared with what came out.
func (b *builder) mark(m *marker, from gitops.Origin) {
	// Inner ones first: what an outer one sets is what counts. One that is included twice does the same twice.
	done := map[string]bool{}
	for _, l := range slices.Backward(b.survey.layers) {
		if done[l.file] || !l.passes(from.File) {
			continue
		}
		done[l.file] = true
		for _, p := range l.patches {
			m.patch(p)
		}
		m.transformers(l)
		b.replaced(m, l)
	}
}

// passes reports whether objects of a file pass through this kustomization. A component works on what its parent gathered.
func (l *layer) passes(file string) bool {
	for ; l != nil; l = l.parent {
		if l.file == file || l.reaches[file] {
			return true
		}
		if l.spec.Kind != "Component" {
			return false
		}
	}
	return false
}

func (m *marker) set(path, file string, line int) {
	m.out[path] = gitops.Position{File: file, Line: line}
}

// first notes what holds other fields: its place is where it was made, whoever changes what is in it.
func (m *marker) first(path, file string, line int) {
	if _, made := m.out[path]; !made && !m.byIndex {
		m.set(path, file, line)
	}
}

// patch notes the fields of one patch, if it is for this object.
func (m *marker) patch(p patchText) {
	if p.target != nil && !m.selected(p.target) {
		return
	}
	for _, doc := range p.docs {
		switch {
		case doc.Kind == yaml.SequenceNode:
			for _, op := range doc.Content {
				m.operation(p, op)
			}
		case p.target != nil || m.meant(doc):
			_, meta := child(doc, "metadata")
			m.each(p, "", doc, m.spec, "apiVersion", "kind", "metadata")
			// Name and namespace say which object is meant.
			m.each(p, "metadata", meta, gitops.TreeAt(m.spec, "metadata"), "name", "namespace")
		}
	}
}

// each walks the fields of an object of a patch but some.
func (m *marker) each(p patchText, at string, n *yaml.Node, spec gitops.Tree, but ...string) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(but, key.Value) {
			m.merged(p, plan.Field(at, key.Value), key, n.Content[i+1], spec[key.Value])
		}
	}
}

// selected reports whether a target selects the object, as far as kind and name say.
func (m *marker) selected(target *yaml.Node) bool {
	for key, value := range map[string]string{"kind": gitops.StringAt(m.spec, "kind"), "name": gitops.StringAt(m.spec, "metadata", "name")} {
		want := text(target, key)
		if want == "" || strings.Contains(value, want) {
			continue
		}
		if re, err := regexp.Compile("^(?:" + want + ")$"); err != nil || !re.MatchString(value) {
			return false
		}
	}
	return true
}

// meant reports whether a strategic merge patch names the object; its name may have got a prefix or suffix since.
func (m *marker) meant(doc *yaml.Node) bool {
	return text(doc, "kind") == gitops.StringAt(m.spec, "kind") && strings.Contains(gitops.StringAt(m.spec, "metadata", "name"), text(doc, "metadata", "name"))
}

// merged walks a strategic merge patch along what came out, and notes the leaves that are as the patch has them.
func (m *marker) merged(p patchText, at string, key, n *yaml.Node, v any) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		object, ok := v.(gitops.Tree)
		if !ok {
			return
		}
		m.first(at, p.file, p.line(key))
		for i := 0; i+1 < len(n.Content); i += 2 {
			field := n.Content[i].Value
			if inner, have := object[field]; have {
				m.merged(p, plan.Field(at, field), n.Content[i], n.Content[i+1], inner)
			}
		}
	case yaml.SequenceNode:
		m.mergedList(p, at, key, n, v)
	case yaml.ScalarNode:
		if sameScalar(n, v) {
			m.set(at, p.file, p.line(key))
		}
	case yaml.DocumentNode, yaml.AliasNode:
	}
}

// mergedList finds the items of a patch's list among those that came out, by their keys.
func (m *marker) mergedList(p patchText, at string, key, n *yaml.Node, v any) {
	list, ok := v.([]any)
	if !ok {
		return
	}
	m.first(at, p.file, p.line(key))
	for position, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			// A list of plain values is replaced as a whole.
			m.set(at, p.file, p.line(key))
			return
		}
		for i := range list {
			object, ok := list[i].(gitops.Tree)
			if ok && (sameItem(item, object) || i == position && len(list) == len(n.Content) && !keyed(item)) {
				m.merged(p, m.itemPath(at, list, i), item, item, object)
				break
			}
		}
	}
}

// itemKeys are the fields that tell items of a list apart.
func itemKeys() []string {
	return []string{"name", "containerPort", "port", "mountPath", "key", "id", "topologyKey", "ip", "type"}
}

func keyed(n *yaml.Node) bool {
	return slices.ContainsFunc(itemKeys(), func(key string) bool { return text(n, key) != "" })
}

func sameItem(n *yaml.Node, object gitops.Tree) bool {
	for _, key := range itemKeys() {
		if want := text(n, key); want != "" {
			return want == scalarText(object[key])
		}
	}
	return false
}

// itemPath names a list item as the paths of edits do.
func (m *marker) itemPath(at string, list []any, i int) string {
	if m.byIndex {
		return plan.Index(at, i)
	}
	return plan.Items(at, list)[i]
}

func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

func sameScalar(n *yaml.Node, v any) bool {
	var want any
	if err := n.Decode(&want); err != nil {
		return false
	}
	switch w := want.(type) {
	case int:
		want = int64(w)
	case nil:
		return false
	}
	return scalarText(want) == scalarText(v)
}

// operation notes one operation of a JSON patch.
func (m *marker) operation(p patchText, op *yaml.Node) {
	pointer := text(op, "path")
	if text(op, "op") == "test" || !strings.HasPrefix(pointer, "/") {
		return
	}
	at := ""
	var v any = m.spec
	for _, step := range strings.Split(pointer[1:], "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch inner := v.(type) {
		case gitops.Tree:
			at, v = plan.Field(at, step), inner[step]
		case []any:
			i := len(inner) - 1
			if step != "-" {
				n, err := strconv.Atoi(step)
				if err != nil {
					return
				}
				i = n
			}
			if i < 0 || i >= len(inner) {
				return
			}
			at, v = m.itemPath(at, inner, i), inner[i]
		default:
			return
		}
	}
	line := op.Line
	if k, _ := child(op, "path"); k != nil {
		line = k.Line
	}
	m.set(at, p.file, line+p.offset)
}

package render

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/utils"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// transformers notes the fields that the short forms of a kustomization set.
func (m *marker) transformers(l *layer) {
	if k, v := child(l.root, "namespace"); v != nil && v.Value == gitops.StringAt(m.spec, "metadata", "namespace") {
		m.set("metadata.namespace", l.file, k.Line)
	}
	for _, key := range []string{"namePrefix", "nameSuffix"} {
		k, v := child(l.root, key)
		name := gitops.StringAt(m.spec, "metadata", "name")
		if v != nil && v.Value != "" && (key == "namePrefix" && strings.HasPrefix(name, v.Value) || key == "nameSuffix" && strings.Contains(name, v.Value)) {
			m.set("metadata.name", l.file, k.Line)
		}
	}
	m.pairs(l, "commonLabels", "labels")
	m.pairs(l, "commonAnnotations", "annotations")
	_, labels := child(l.root, "labels")
	for _, n := range items(labels) {
		_, pairs := child(n, "pairs")
		m.pair(l, pairs, "labels")
	}
	m.replicas(l)
	for _, key := range []string{"images", "imageTags"} {
		_, images := child(l.root, key)
		for _, n := range items(images) {
			m.images(l, n, "", m.spec)
		}
	}
}

func (m *marker) replicas(l *layer) {
	_, replicas := child(l.root, "replicas")
	for _, n := range items(replicas) {
		count, _ := gitops.At(m.spec, "spec", "replicas")
		if k, v := child(n, "count"); v != nil && strings.Contains(gitops.StringAt(m.spec, "metadata", "name"), text(n, "name")) && scalarText(count) == v.Value {
			m.set("spec.replicas", l.file, k.Line)
		}
	}
}

func (m *marker) pairs(l *layer, key, field string) {
	_, pairs := child(l.root, key)
	m.pair(l, pairs, field)
}

func (m *marker) pair(l *layer, pairs *yaml.Node, field string) {
	if pairs == nil || pairs.Kind != yaml.MappingNode {
		return
	}
	have := gitops.StringsAt(m.spec, "metadata", field)
	for i := 0; i+1 < len(pairs.Content); i += 2 {
		if key := pairs.Content[i].Value; have[key] == pairs.Content[i+1].Value {
			m.set(plan.Field("metadata."+field, key), l.file, pairs.Content[i].Line)
		}
	}
}

// images looks for containers, wherever they are, whose image is as an entry makes it.
func (m *marker) images(l *layer, entry *yaml.Node, at string, v any) {
	switch v := v.(type) {
	case gitops.Tree:
		for key, inner := range v {
			list, isList := inner.([]any)
			if isList && (key == "containers" || key == "initContainers") {
				m.containers(l, entry, plan.Field(at, key), list)
				continue
			}
			m.images(l, entry, plan.Field(at, key), inner)
		}
	case []any:
		for i := range v {
			m.images(l, entry, m.itemPath(at, v, i), v[i])
		}
	}
}

func (m *marker) containers(l *layer, entry *yaml.Node, at string, list []any) {
	name := text(entry, "newName")
	if name == "" {
		name = text(entry, "name")
	}
	for i := range list {
		container, ok := list[i].(gitops.Tree)
		if !ok {
			continue
		}
		image, _ := container["image"].(string)
		rest, ok := strings.CutPrefix(image, name)
		tag, digest := text(entry, "newTag"), text(entry, "digest")
		if ok && (rest == "" || rest[0] == ':' || rest[0] == '@') && (tag == "" || strings.Contains(rest, ":"+tag)) && (digest == "" || strings.HasSuffix(rest, "@"+digest)) {
			m.set(plan.Field(m.itemPath(at, list, i), "image"), l.file, entry.Line)
		}
	}
}

// replaced notes the fields that replacements of a kustomization write.
func (b *builder) replaced(m *marker, l *layer) {
	_, list := child(l.root, "replacements")
	for _, n := range items(list) {
		m.replacement(n, l.file)
		file := text(n, "path")
		if file == "" {
			continue
		}
		file = path.Join(l.folder, file)
		body, err := b.view.text(file)
		if err != nil {
			continue
		}
		docs, _ := documents(file, body)
		for _, doc := range docs {
			m.replacement(doc, file)
			for _, one := range items(doc) {
				m.replacement(one, file)
			}
		}
	}
}

func (m *marker) replacement(n *yaml.Node, file string) {
	_, targets := child(n, "targets")
	for _, t := range items(targets) {
		_, selects := child(t, "select")
		if selects == nil || !m.selected(selects) {
			continue
		}
		_, paths := child(t, "fieldPaths")
		for _, p := range items(paths) {
			if at, ok := m.locate(p.Value); ok {
				m.set(at, file, p.Line)
			}
		}
	}
}

// locate follows a fieldPath of kustomize ("spec.containers.[name=x].image") to a path as plan names it.
func (m *marker) locate(fieldPath string) (string, bool) {
	at := ""
	var v any = m.spec
	for _, step := range utils.SmarterPathSplitter(fieldPath, ".") {
		switch inner := v.(type) {
		case gitops.Tree:
			step = strings.TrimSuffix(strings.TrimPrefix(step, "["), "]")
			next, ok := inner[step]
			if !ok {
				return "", false
			}
			at, v = plan.Field(at, step), next
		case []any:
			i := indexOf(inner, step)
			if i < 0 {
				return "", false
			}
			at, v = m.itemPath(at, inner, i), inner[i]
		default:
			return "", false
		}
	}
	return at, true
}

func indexOf(list []any, step string) int {
	key, value, ok := strings.Cut(strings.Trim(step, "[]"), "=")
	for i := range list {
		object, isObject := list[i].(gitops.Tree)
		if ok && isObject && scalarText(object[key]) == value || !ok && scalarText(int64(i)) == step {
			return i
		}
	}
	return -1
}

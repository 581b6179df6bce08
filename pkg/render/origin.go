package render

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// origin finds where an object is written: the document in the file that kustomize names, or the entry of a generator.
func (b *builder) origin(r *resource.Resource, from *resource.Origin) gitops.Origin {
	top := gitops.Origin{Position: gitops.Position{File: b.survey.layers[0].file}}
	if from == nil || from.ConfiguredIn != "" && !strings.HasSuffix(from.ConfiguredBy.Kind, "Generator") {
		// A patch that replaces all annotations takes kustomize's own mark away, and the next transformer puts its own there.
		if at, ok := b.anywhere(r); ok {
			return gitops.Origin{Position: at}
		}
		return top
	}
	if from.ConfiguredIn != "" {
		file := path.Join(b.folder, from.ConfiguredIn)
		return gitops.Origin{Position: b.generated(file, from.ConfiguredBy.Kind, from.ConfiguredBy.Name, r.GetName())}
	}
	if from.Path == "" {
		return top
	}
	file := b.real(path.Join(b.folder, from.Path))
	if o := closest(b.survey.objects[file], r.GetApiVersion(), r.GetKind(), r.GetName()); o != nil {
		return gitops.Origin{Position: o.at}
	}
	return gitops.Origin{Position: gitops.Position{File: file}}
}

// anywhere looks for the one document of the overlay that an object may come from.
func (b *builder) anywhere(r *resource.Resource) (gitops.Position, bool) {
	var all []*object
	for _, file := range sortedKeys(b.survey.objects) {
		all = append(all, b.survey.objects[file]...)
	}
	if o := closest(all, r.GetApiVersion(), r.GetKind(), r.GetName()); o != nil {
		return o.at, true
	}
	return gitops.Position{}, false
}

// real is a path as the survey knows it: through symlinked folders, kustomize and path.Join may differ.
func (b *builder) real(file string) string {
	if _, ok := b.survey.objects[file]; ok {
		return file
	}
	if real, err := realPath(b.view.files, file); err == nil {
		for known := range b.survey.objects {
			if at, err := realPath(b.view.files, known); err == nil && at == real {
				return known
			}
		}
	}
	return file
}

// closest finds the document that an object came from. Transformers may have changed its name: then it is the one with the
// longest name within the new one, and at last the only one of its kind.
func closest(in []*object, apiVersion, kind, name string) *object {
	var best *object
	same := 0
	for _, o := range in {
		if o.kind != kind {
			continue
		}
		same++
		switch {
		case o.name == name && o.apiVersion == apiVersion:
			return o
		case strings.Contains(name, o.name) && (best == nil || len(o.name) > len(best.name)):
			best = o
		}
	}
	if best != nil {
		return best
	}
	if len(in) == 1 {
		return in[0]
	}
	for _, o := range in {
		if o.kind == kind && same == 1 {
			return o
		}
	}
	return nil
}

// generated finds the entry of a generator.
func (b *builder) generated(file, kind, configured, name string) gitops.Position {
	at := gitops.Position{File: file}
	for _, l := range b.survey.layers {
		if l.file != file {
			continue
		}
		_, list := child(l.root, strings.ToLower(kind[:min(1, len(kind))])+kind[min(1, len(kind)):])
		if n := named(items(list), name); n != nil {
			at.Line = n.Line
			return at
		}
	}
	if body, err := b.view.text(file); err == nil && configured != "" {
		docs, _ := documents(file, body)
		for _, doc := range docs {
			if text(doc, "metadata", "name") == configured {
				at.Line = doc.Line
				return at
			}
		}
	}
	return at
}

// named finds the entry whose name is the longest within a rendered name.
func named(in []*yaml.Node, name string) *yaml.Node {
	var best *yaml.Node
	for _, n := range in {
		own := text(n, "name")
		if own != "" && strings.Contains(name, own) && (best == nil || len(own) > len(text(best, "name"))) {
			best = n
		}
	}
	return best
}

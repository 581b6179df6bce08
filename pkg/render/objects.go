package render

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// object is what the survey remembers of one document of a resource file: enough for origins and for the cut into parts, and
// nothing of its content.
type object struct {
	apiVersion, kind, name, namespace string
	at                                gitops.Position
	// binds are the names that stand beside a namespace in it (see bound).
	binds []string
	// local says that it may be for kustomize only, and not rendered.
	local bool
}

// resourceFile is a file without faults, as it was when its content had the hash.
type resourceFile struct {
	hash    string
	objects []*object
	// opened is what it came to when it is an encrypted one.
	opened *opened
}

// resource reads a file of objects, unless it is as it was at the last render.
func (s *survey) resource(file string) {
	if _, done := s.objects[file]; done {
		return
	}
	hash := s.view.ask(askRead, file)
	if known, ok := s.before[file]; ok && known.hash == hash {
		s.objects[file], s.sound[file] = known.objects, known
		s.view.secrets.again(file, known.opened)
		return
	}
	faults := len(s.problems)
	docs, ok := s.read(file)
	if !ok {
		return
	}
	objects := []*object{}
	for _, doc := range docs {
		eachObject(file, doc, s.fail, func(o *object, _ *yaml.Node) { objects = append(objects, o) })
	}
	s.objects[file] = objects
	if len(s.problems) == faults {
		s.sound[file] = resourceFile{hash: hash, objects: objects, opened: s.view.secrets.of(file)}
	}
}

// reread gives the objects of a file once more, with their content.
func (s *survey) reread(file string, do func(*object, *yaml.Node)) {
	body, err := s.view.text(file)
	if err != nil {
		return
	}
	docs, _ := documents(file, body)
	for _, doc := range docs {
		eachObject(file, doc, func(*gitops.Error) {}, do)
	}
}

// eachObject gives the objects of a document: itself, or the items of a List.
func eachObject(file string, doc *yaml.Node, fail func(*gitops.Error), do func(*object, *yaml.Node)) {
	o := &object{
		apiVersion: text(doc, "apiVersion"), kind: text(doc, "kind"),
		name: text(doc, "metadata", "name"), namespace: text(doc, "metadata", "namespace"),
		at: gitops.Position{File: file, Line: doc.Line},
	}
	_, list := child(doc, "items")
	switch {
	case doc.Kind != yaml.MappingNode:
		fail(problem(gitops.RenderFailed, file, doc.Line, "want an object with apiVersion, kind and metadata.name, not %s", nodeKind(doc)))
	case o.kind == "":
		fail(problem(gitops.RenderFailed, file, doc.Line, "the object has no kind"))
	case strings.HasSuffix(o.kind, "List") && list != nil && o.name == "":
		for _, item := range items(list) {
			eachObject(file, item, fail, do)
		}
	case o.name == "":
		fail(problem(gitops.RenderFailed, file, doc.Line, "the %s has no metadata.name", o.kind))
	default:
		o.binds, o.local = bound(doc, o.kind), text(doc, "metadata", "annotations", localConfig) != ""
		do(o, doc)
	}
}

// localConfig is the annotation of objects that kustomize reads and does not print.
const localConfig = "config.kubernetes.io/local-config"

// bindingKinds name objects with their namespaces, whose namespace kustomize sets to what it has become.
func bindingKinds() []string {
	return []string{"RoleBinding", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
}

// bound lists the names that stand beside a namespace: subjects of bindings, and Services of webhooks.
func bound(doc *yaml.Node, kind string) []string {
	var out []string
	switch kind {
	case "RoleBinding", "ClusterRoleBinding":
		_, subjects := child(doc, "subjects")
		for _, n := range items(subjects) {
			out = append(out, text(n, "name"))
		}
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		_, hooks := child(doc, "webhooks")
		for _, n := range items(hooks) {
			out = append(out, text(n, "clientConfig", "service", "name"))
		}
	}
	return out
}

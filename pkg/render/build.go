package render

import (
	"encoding/json"
	"maps"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
)

// builder renders one overlay once.
type builder struct {
	*Renderer
	view    *view
	folder  string
	overlay string
	cluster gitops.Cluster
	facts   gitops.Facts
	survey  *survey
	// before is the last render of the same overlay, if there was one.
	before *rendered
	// charts are what the charts of each kustomization came to, by its folder.
	charts map[string]*inflated
	// pull fetches a chart that is not in the repository.
	pull func(chart.Source) ([]byte, *gitops.Error)
	// configOnly wants ClusterConfigs and nothing else, instead of objects and no ClusterConfig.
	configOnly bool
}

// virtualFacts is the base name under which kustomize finds the facts.
const virtualFacts = ".reconciler-cluster-facts.yaml"

func (b *builder) build() (out *rendered) {
	out = &rendered{}
	defer func() {
		if r := recover(); r != nil {
			out.items, out.problems = nil, []*gitops.Error{gitops.Errorf(gitops.Internal, "rendering %s: kustomize gave up: %v (%s)", b.folder, r, topFrame(debug.Stack()))}
		}
		b.view.secrets.silence(out.problems)
		for _, p := range out.problems {
			p.From.Overlay = b.overlay
			// Whether a key opens a file does not depend on files alone.
			out.retry = out.retry || p.Reason == gitops.DecryptFailed || p.Reason == gitops.Interrupted
		}
		for i := range out.items {
			// Only now is every value known that an encrypted file may have brought.
			out.items[i].From.Secrets = b.view.secrets.marks(out.items[i].Spec)
		}
		out.asked = b.view.asked
	}()
	b.survey = newSurvey(b.view)
	if b.before != nil {
		b.survey.before = b.before.files
	}
	b.survey.kustomization(b.folder, gitops.Position{File: b.folder}, nil, false)
	for _, l := range b.survey.layers {
		out.folders = append(out.folders, l.folder)
	}
	out.read = b.survey.filesRead()
	out.files = b.survey.sound
	out.problems = b.survey.problems
	if len(out.problems) > 0 {
		return out
	}
	for _, l := range b.survey.layers {
		l.patches = b.patchesOf(l)
	}
	if out.problems = b.inflate(out); len(out.problems) > 0 {
		return out
	}
	out.facts, out.all = b.survey.facts.used(b.facts), b.survey.facts.all
	if out.problems = b.survey.facts.undeclared(b.cluster, b.facts); len(out.problems) > 0 {
		return out
	}
	out.pending = len(b.survey.facts.unknown(b.facts)) > 0
	if b.inParts(out) {
		return out
	}
	resources, err := b.run()
	if err != nil {
		out.problems = b.explain(err)
		return out
	}
	out.items, out.problems = b.items(resources)
	return out
}

// topFrame names where a panic came from, for the report of a bug.
func topFrame(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") && i+3 < len(lines) {
			return strings.TrimSpace(path.Base(lines[i+3]))
		}
	}
	return "unknown place"
}

// run lets kustomize render, with the facts and the annotations that tell origins put in.
func (b *builder) run() (resmap.ResMap, error) {
	top := b.survey.layers[0]
	body, err := b.view.ReadFile(top.file)
	if err != nil {
		return nil, err
	}
	virtual := map[string][]byte{}
	for _, l := range b.survey.layers {
		if err := b.putCharts(l, virtual); err != nil {
			return nil, err
		}
	}
	if changed, ok := virtual[top.file]; ok {
		body = changed
	}
	var added []string
	if len(b.survey.facts.keys) > 0 || b.survey.facts.all {
		if virtual[path.Join(top.folder, virtualFacts)], err = b.survey.facts.configMap(b.facts); err != nil {
			return nil, err
		}
		added = []string{virtualFacts}
	}
	if virtual[top.file], err = withAdditions(body, added, nil); err != nil {
		return nil, err
	}
	b.view.virtual = virtual
	defer func() { b.view.virtual = nil }()
	if b.survey.schema {
		b.schema.Lock()
		defer b.schema.Unlock()
		defer resetSchema()
	} else {
		b.schema.RLock()
		defer b.schema.RUnlock()
	}
	return kustomize(b.view, b.folder)
}

// kustomize does what `kustomize build` does.
func kustomize(v *view, folder string) (resmap.ResMap, error) {
	return krusty.MakeKustomizer(&krusty.Options{
		Reorder: krusty.ReorderOptionUnspecified, LoadRestrictions: types.LoadRestrictionsRootOnly, PluginConfig: types.DisabledPluginConfig(),
	}).Run(v, "/"+folder)
}

// kustomizationFields are the fields of a kustomization, as they are written.
type kustomizationFields map[string]json.RawMessage

func fieldsOf(body []byte) (kustomizationFields, error) {
	asJSON, err := sigsyaml.YAMLToJSON(body)
	if err != nil {
		return nil, err
	}
	var fields kustomizationFields
	return fields, json.Unmarshal(asJSON, &fields)
}

// key finds a field. Kustomize reads keys in any case.
func (f kustomizationFields) key(field string) string {
	for have := range f {
		if strings.EqualFold(have, field) {
			return have
		}
	}
	return field
}

// insert puts an entry into a list, unless it is there.
func (f kustomizationFields) insert(field, entry string, first bool) error {
	key := f.key(field)
	var list []string
	if raw, ok := f[key]; ok {
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
	}
	switch {
	case slices.Contains(list, entry):
	case first:
		list = append([]string{entry}, list...)
	default:
		list = append(list, entry)
	}
	var err error
	f[key], err = json.Marshal(list)
	return err
}

// withAdditions puts resources and the wish for origin annotations into a kustomization; only, if not nil, takes the place of the
// resources it has.
func withAdditions(body []byte, resources, only []string) ([]byte, error) {
	fields, err := fieldsOf(body)
	if err != nil {
		return nil, err
	}
	if only != nil {
		if fields[fields.key("resources")], err = json.Marshal(only); err != nil {
			return nil, err
		}
	}
	for _, r := range resources {
		if err := fields.insert("resources", r, false); err != nil {
			return nil, err
		}
	}
	if err := fields.insert("buildMetadata", types.OriginAnnotations, false); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// items turns what kustomize rendered into items with their origins.
func (b *builder) items(resources resmap.ResMap) ([]gitops.Item, []*gitops.Error) {
	var out []gitops.Item
	var problems []*gitops.Error
	like := lean{}
	// Whoever asks for the annotations gets them.
	keep := slices.Contains(b.survey.layers[0].spec.BuildMetadata, types.OriginAnnotations)
	for _, r := range resources.Resources() {
		from, err := r.GetOrigin()
		if err != nil {
			from = nil
		}
		shown := b.generatedByChart(from)
		if !keep || shown != nil {
			if !keep {
				shown = nil
			}
			if err := r.SetOrigin(shown); err != nil {
				return nil, []*gitops.Error{gitops.Errorf(gitops.RenderFailed, "rendering %s: %w", b.folder, err)}
			}
		}
		item, failed := b.item(r, from, like)
		if failed != nil {
			problems = append(problems, failed)
			continue
		}
		out = append(out, item)
	}
	return out, problems
}

func (b *builder) item(r *resource.Resource, from *resource.Origin, like lean) (gitops.Item, *gitops.Error) {
	spec, err := treeOf(r, like)
	if err != nil {
		return gitops.Item{}, gitops.Errorf(gitops.RenderFailed, "rendering %s: %w", r.CurId(), err)
	}
	origin := b.origin(r, from)
	origin.Overlay = b.overlay
	ref := refOf(spec)
	if b.configOnly {
		return b.configItem(spec, origin)
	}
	if group(spec) == eksctlGroup {
		e := gitops.Errorf(gitops.ConfigInvalid, "a %s is not an object of the cluster", ref.Kind).At(origin)
		e.Try = "keep it in " + b.cluster.Folder + " itself, outside the overlays"
		return gitops.Item{}, e
	}
	return gitops.Item{Ref: ref, Spec: spec, From: origin}, nil
}

// configItem is a rendered ClusterConfig. Its fields are where its document has them, or the patch that set them.
func (b *builder) configItem(spec gitops.Tree, origin gitops.Origin) (gitops.Item, *gitops.Error) {
	origin.Overlay = ""
	if gitops.StringAt(spec, "apiVersion") != configVersion || gitops.StringAt(spec, "kind") != configKind {
		e := gitops.Errorf(gitops.ConfigInvalid, "the kustomization of a cluster's folder renders its ClusterConfig and nothing else, not %s", refOf(spec).Label()).At(origin)
		e.Try = "move it into an overlay, a folder below " + b.folder
		return gitops.Item{}, e
	}
	fields := map[string]gitops.Position{}
	var broken *gitops.Error
	b.survey.reread(origin.File, func(o *object, n *yaml.Node) {
		if o.at != origin.Position {
			return
		}
		_, p := read(origin.File, gitops.ConfigInvalid, n)
		if fields = p.fields; len(p.problems) > 0 {
			broken = p.problems[0]
		}
	})
	if broken != nil {
		return gitops.Item{}, broken
	}
	m := &marker{spec: spec, out: fields, byIndex: true}
	b.mark(m, origin)
	origin.Fields = fields
	return configItem(spec, origin), nil
}

// treeOf is the object as `kustomize build` would print it. It shares structure with others of the same lean.
func treeOf(r *resource.Resource, like lean) (gitops.Tree, error) {
	body, err := r.MarshalJSON()
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	var t gitops.Tree
	if err := decoder.Decode(&t); err != nil {
		return nil, err
	}
	return like.tree(t), nil
}

func group(t gitops.Tree) string {
	g, _, ok := strings.Cut(gitops.StringAt(t, "apiVersion"), "/")
	if !ok {
		return ""
	}
	return g
}

func refOf(t gitops.Tree) gitops.Ref {
	return gitops.Ref{
		Domain: gitops.K8s, Group: group(t), Kind: gitops.StringAt(t, "kind"),
		Namespace: gitops.StringAt(t, "metadata", "namespace"), Name: gitops.StringAt(t, "metadata", "name"),
	}
}

// filesRead are the files that took part.
func (s *survey) filesRead() map[string]bool {
	out := map[string]bool{}
	for question := range s.view.asked {
		if file, ok := strings.CutPrefix(question, askRead); ok {
			out[file] = true
		}
	}
	return out
}

// sortedKeys is for output that must not depend on map order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

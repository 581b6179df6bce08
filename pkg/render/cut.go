package render

import (
	"encoding/json"
	"hash/fnv"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/types"
)

// When an overlay may be cut. kustomize (v0.21.2; another version needs a new look, which TestCutsKnowKustomize asks for) goes
// through the tree of kustomizations; each gathers objects, then its transformers go over them. Objects act on each other
//
//  1. by their names: a second object of one name is an error. Names do not change in what is cut (no prefix, no suffix, no
//     generator, no patch of them), so two that meet anywhere also meet at the end, where the parts are put together. What
//     would not reach the end, objects for kustomize only, is not cut.
//  2. by references: kustomize writes into a reference the name that the object has now, which is the one it had. Only where it
//     also writes a namespace, into subjects of bindings and Services of webhooks (bindingKinds), it matters what the object has
//     become; such a file and all files with an object of that name stay together. A Node is not cut.
//  3. by operators that need an object (a strategic merge patch without a target, replicas) or choose some by kind, name, label
//     (a patch with a target). The former go with the files of all objects that they may mean, the latter into every part.
//  4. by generators, replacements, vars, plugins, schemas, and other orders than the usual one: they are not cut.
//
// All other transformers (namespace, labels, annotations, images) look at one object at a time. Components work on what
// their parent gathered, by the same transformers.

// cutter divides the resource files of an overlay into groups that stay together.
type cutter struct {
	*survey
	// leader leads from a file to one of its group, at last to its first.
	leader map[string]string
	// holders are files of the groups that operators belong to.
	holders map[operator]string
}

// operator is an entry of a kustomization: of its patches, or of its replicas.
type operator struct {
	layer   *layer
	replica bool
	at      int
}

// parts cuts an overlay; nil for one that must be built as a whole.
func (b *builder) parts() []part {
	s := b.survey
	if b.configOnly || s.schema || s.facts.all || len(s.facts.keys) > 0 {
		return nil
	}
	total := 0
	for _, objects := range s.objects {
		total += len(objects)
	}
	if total <= b.portion {
		return nil
	}
	c := &cutter{survey: s, leader: map[string]string{}, holders: map[operator]string{}}
	if !c.layersApart() || !c.objectsApart() || !c.operatorsApart() {
		return nil
	}
	buckets := uint32(1)
	for int(buckets)*b.portion < total {
		buckets *= 2
	}
	return c.cut(buckets)
}

// layersApart reports whether the kustomizations have nothing but transformers of single objects, patches and replicas.
func (c *cutter) layersApart() bool {
	seen := map[string]bool{}
	for _, l := range c.layers {
		// Whatever is there twice, or by two names, meets itself.
		if real, err := c.view.real(l.folder); err != nil || real != l.folder || seen[l.file] {
			return false
		}
		seen[l.file] = true
		if !plain(l.spec) || !writable(l.spec) {
			return false
		}
		gathers := func(file string) bool { return c.objects[file] != nil }
		if l.spec.Kind != types.ComponentKind && !slices.ContainsFunc(slices.Collect(maps.Keys(l.reaches)), gathers) {
			return false
		}
	}
	return true
}

// plain reports whether a kustomization has nothing but what this file knows how to cut.
func plain(k types.Kustomization) bool {
	if _, kept := k.CommonAnnotations[localConfig]; kept {
		return false
	}
	k.TypeMeta, k.MetaData, k.Resources, k.Components, k.BuildMetadata = types.TypeMeta{}, nil, nil, nil, nil
	k.Namespace, k.Labels, k.CommonAnnotations, k.Images, k.Patches, k.Replicas = "", nil, nil, nil, nil, nil
	return reflect.DeepEqual(k, types.Kustomization{})
}

// writable reports whether a kustomization that is written and read again is the same.
func writable(k types.Kustomization) bool {
	body, err := json.Marshal(k)
	var again types.Kustomization
	return err == nil && again.Unmarshal(body) == nil && reflect.DeepEqual(k, again)
}

// objectsApart joins the files whose objects kustomize looks at together.
func (c *cutter) objectsApart() bool {
	named := map[string][]string{}
	for file, objects := range c.objects {
		for _, o := range objects {
			if o.local || o.kind == "Node" {
				return false
			}
			named[o.name] = append(named[o.name], file)
		}
	}
	for file, objects := range c.objects {
		for _, o := range objects {
			for _, name := range o.binds {
				c.unite(append(named[name], file))
			}
		}
	}
	return true
}

// operatorsApart joins the files that patches without a target and replicas mean, and looks for what patches must not do.
func (c *cutter) operatorsApart() bool {
	for _, l := range c.layers {
		if len(l.patches) != len(l.spec.Patches) {
			return false
		}
		for i, p := range l.patches {
			if !c.patchApart(l, i, p) {
				return false
			}
		}
		for i, r := range l.spec.Replicas {
			scaled := func(o *object) bool {
				return o.name == r.Name && slices.Contains([]string{"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"}, o.kind)
			}
			if !c.hold(operator{layer: l, replica: true, at: i}, scaled) {
				return false
			}
		}
	}
	return true
}

// hold joins the files of the objects that an operator means; without any, kustomize has something to say.
func (c *cutter) hold(op operator, means func(*object) bool) bool {
	var files []string
	for file, objects := range c.objects {
		if op.layer.passes(file) && slices.ContainsFunc(objects, means) {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return false
	}
	if first, held := c.holders[op]; held {
		files = append(files, first)
	}
	c.unite(files)
	c.holders[op] = files[0]
	return true
}

// patchApart looks at one patch.
func (c *cutter) patchApart(l *layer, at int, p patchText) bool {
	if l.spec.Patches[at].Options != nil || p.target != nil && c.targetsBinding(p.target) {
		return false
	}
	for _, doc := range p.docs {
		if !mild(doc) {
			return false
		}
		if p.target != nil || doc.Kind == yaml.SequenceNode {
			continue
		}
		kind, name := text(doc, "kind"), text(doc, "metadata", "name")
		means := func(o *object) bool { return o.kind == kind && o.name == name }
		if slices.Contains(bindingKinds(), kind) || !c.hold(operator{layer: l, at: at}, means) {
			return false
		}
	}
	return len(p.docs) > 0
}

// mild reports whether a patch surely leaves an object there, its name, and kustomize's marks of where it is from.
func mild(doc *yaml.Node) bool {
	for _, n := range everyNode(doc) {
		if n.Kind == yaml.AliasNode || strings.Contains(n.Value, "$patch") || strings.Contains(n.Value, "config.kubernetes.io") {
			return false
		}
	}
	if doc.Kind == yaml.SequenceNode {
		return !slices.ContainsFunc(doc.Content, changesIdentity)
	}
	_, meta := child(doc, "metadata")
	k, annotations := child(meta, "annotations")
	return k == nil || annotations.Kind == yaml.MappingNode
}

// targetsBinding reports whether a target may choose an object that names others with their namespaces.
func (c *cutter) targetsBinding(target *yaml.Node) bool {
	kind, err := regexp.Compile("^(?:" + text(target, "kind") + ")$")
	if err != nil {
		return true
	}
	for _, objects := range c.objects {
		for _, o := range objects {
			if slices.Contains(bindingKinds(), o.kind) && (text(target, "kind") == "" || kind.MatchString(o.kind)) {
				return true
			}
		}
	}
	return false
}

// changesIdentity reports whether an operation of a JSON patch may change what an object is called, or takes kustomize's marks.
func changesIdentity(op *yaml.Node) bool {
	for _, pointer := range []string{text(op, "path"), text(op, "from")} {
		switch pointer {
		case "/", "/apiVersion", "/kind", "/metadata", "/metadata/name", "/metadata/namespace", "/metadata/annotations":
			return true
		}
	}
	return text(op, "path") == ""
}

// first is the file that leads the group of a file.
func (c *cutter) first(file string) string {
	for c.leader[file] != "" {
		file = c.leader[file]
	}
	return file
}

func (c *cutter) unite(files []string) {
	for _, file := range files[1:] {
		a, b := c.first(files[0]), c.first(file)
		if a != b {
			c.leader[max(a, b)] = min(a, b)
		}
	}
}

// cut puts every group into one of the buckets by its first file's name, so that a file more or less changes few parts.
func (c *cutter) cut(buckets uint32) []part {
	filled := map[uint32]*part{}
	for _, file := range sortedKeys(c.objects) {
		first := c.first(file)
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(first))
		at := sum.Sum32() % buckets
		p := filled[at]
		if p == nil {
			p = &part{has: map[string]bool{}, virtual: map[string][]byte{}}
			filled[at] = p
		}
		p.files = append(p.files, file)
		p.has[file] = true
	}
	out := make([]part, 0, len(filled))
	for _, p := range filled {
		for i, l := range c.layers {
			spec := c.narrowed(l, *p)
			if i == 0 && !slices.Contains(spec.BuildMetadata, types.OriginAnnotations) {
				spec.BuildMetadata = append(slices.Clone(spec.BuildMetadata), types.OriginAnnotations)
			}
			body, err := json.Marshal(spec)
			if err != nil {
				return nil
			}
			p.virtual[l.file] = body
		}
		out = append(out, *p)
	}
	return out
}

// narrowed is a kustomization with nothing but what concerns a part.
func (c *cutter) narrowed(l *layer, p part) types.Kustomization {
	spec := l.spec
	spec.Resources, spec.Components, spec.Patches, spec.Replicas = nil, nil, nil, nil
	for _, e := range l.resources {
		if p.has[e.file] || e.layer != nil && slices.ContainsFunc(p.files, func(file string) bool { return e.layer.reaches[file] }) {
			spec.Resources = append(spec.Resources, e.text)
		}
	}
	for _, e := range l.components {
		// kustomize refuses empty ones.
		inner := c.narrowed(e.layer, p)
		if inner.CheckEmpty() == nil {
			spec.Components = append(spec.Components, e.text)
		}
	}
	for i, patch := range l.spec.Patches {
		if c.concerns(operator{layer: l, at: i}, p) {
			spec.Patches = append(spec.Patches, patch)
		}
	}
	for i, replica := range l.spec.Replicas {
		if c.concerns(operator{layer: l, replica: true, at: i}, p) {
			spec.Replicas = append(spec.Replicas, replica)
		}
	}
	return spec
}

// concerns reports whether a part needs an operator: the one with its objects does, and all do if it chooses its objects.
func (c *cutter) concerns(op operator, p part) bool {
	holder, held := c.holders[op]
	return !held || p.has[holder]
}

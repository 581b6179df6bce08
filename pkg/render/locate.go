package render

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Where git sets single fields is worked out for the few objects whose edits somebody will see, and not remembered: for all
// objects it would take more memory than the objects themselves.

// locator answers gitops.Desired.Fields from the files of one snapshot.
type locator struct {
	files   fs.FS
	cluster gitops.Cluster
	results []*rendered

	// all is what was rendered, with the names that the API server will have for it.
	all []gitops.Item

	mu sync.Mutex
	// items index all, once more than few were asked for.
	items    map[gitops.Ref]*gitops.Item
	asked    int
	builders map[string]*builder
	texts    map[string]*resourceText
}

// fields maps the fields of an object to where they are set, as far as kustomize tells: in its file, or by whatever of the
// kustomizations that it passed through set what is there now. Fields without an entry are where the next one around them is.
func (l *locator) fields(ref gitops.Ref) map[string]gitops.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	item := l.item(ref)
	if item == nil {
		return nil
	}
	b := l.builder(item.From.Overlay)
	if b == nil {
		return nil
	}
	m := &marker{spec: item.Spec, out: map[string]gitops.Position{}}
	b.written(m, *item, l.text(b.view, item.From.File))
	b.mark(m, item.From)
	return m.out
}

// item finds an item; nil when there is none. To find the one that drifted costs less than an index of all.
func (l *locator) item(ref gitops.Ref) *gitops.Item {
	const few = 8
	if l.asked++; l.asked <= few {
		if i := slices.IndexFunc(l.all, func(item gitops.Item) bool { return item.Ref == ref }); i >= 0 {
			return &l.all[i]
		}
		return nil
	}
	if l.items == nil {
		l.items = make(map[gitops.Ref]*gitops.Item, len(l.all))
		for i := range l.all {
			l.items[l.all[i].Ref] = &l.all[i]
		}
	}
	return l.items[ref]
}

// builder surveys an overlay once; nil when that fails, though it was rendered.
func (l *locator) builder(overlay string) *builder {
	if b, known := l.builders[overlay]; known {
		return b
	}
	b := &builder{view: newView(l.files), folder: path.Join(l.cluster.Folder, overlay), overlay: overlay, cluster: l.cluster}
	b.survey = newSurvey(b.view)
	result := l.results[slices.Index(l.cluster.Overlays, overlay)]
	// What the render decrypted is there; nobody is asked for a key again.
	b.view.secrets = newDecrypter(l.files)
	b.view.secrets.before = result.opened
	b.survey.before = result.files
	b.survey.kustomization(b.folder, gitops.Position{File: b.folder}, nil, false)
	for _, layer := range b.survey.layers {
		layer.patches = b.patchesOf(layer)
		for _, template := range result.templates[layer.folder] {
			layer.gathers(template)
		}
	}
	if len(b.survey.problems) > 0 {
		b = nil
	}
	l.builders[overlay] = b
	return b
}

// written notes where the object's own document, or the entry of its generator, has the fields.
func (b *builder) written(m *marker, item gitops.Item, t *resourceText) {
	body, before := t.document(item.From.Line)
	docs, _ := documents(item.From.File, body)
	p := patchText{file: item.From.File, offset: before}
	for _, doc := range docs {
		eachObject(item.From.File, doc, func(*gitops.Error) {}, func(o *object, n *yaml.Node) {
			if p.line(n) != item.From.Line || o.kind != item.Ref.Kind {
				return
			}
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				m.merged(p, plan.Field("", key.Value), key, n.Content[i+1], m.spec[key.Value])
			}
		})
	}
	b.generatedBy(m, item)
}

// generatedBy notes the data that entries of generators name: the one that made the object, and those that merged into it.
func (b *builder) generatedBy(m *marker, item gitops.Item) {
	key := strings.ToLower(item.Ref.Kind[:min(1, len(item.Ref.Kind))]) + item.Ref.Kind[min(1, len(item.Ref.Kind)):] + "Generator"
	for _, l := range slices.Backward(b.survey.layers) {
		_, list := child(l.root, key)
		for _, entry := range items(list) {
			made := l.file == item.From.File && entry.Line == item.From.Line
			merged := slices.Contains([]string{"merge", "replace"}, text(entry, "behavior")) && strings.Contains(item.Ref.Name, text(entry, "name"))
			if made || merged && l.passes(item.From.File) {
				m.literals(entry, l.file)
			}
		}
	}
}

// resourceText is a file of many documents, of which one at a time is parsed.
type resourceText struct {
	body []byte
	// lines are where lines begin, and documents the lines with which documents begin.
	lines, documents []int
}

// text reads a file once.
func (l *locator) text(v *view, file string) *resourceText {
	if t, known := l.texts[file]; known {
		return t
	}
	t := &resourceText{documents: []int{1}}
	t.body, _ = v.text(file)
	for at := 0; at < len(t.body); {
		t.lines = append(t.lines, at)
		length := bytes.IndexByte(t.body[at:], '\n') + 1
		if length == 0 {
			length = len(t.body) - at
		}
		// Such a line begins a document wherever it stands.
		if line := strings.TrimRight(string(t.body[at:at+length]), "\r\n"); line == "---" || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "---\t") {
			t.documents = append(t.documents, len(t.lines))
		}
		at += length
	}
	l.texts[file] = t
	return t
}

// document is the one that a line is in, and the number of lines before it.
func (t *resourceText) document(line int) (body []byte, before int) {
	if line < 1 || line > len(t.lines) {
		return nil, 0
	}
	i, found := slices.BinarySearch(t.documents, line)
	if !found {
		i--
	}
	end := len(t.body)
	if i+1 < len(t.documents) {
		end = t.lines[t.documents[i+1]-1]
	}
	return t.body[t.lines[t.documents[i]-1]:end], t.documents[i] - 1
}

// literals notes the data that an entry of a generator names, as far as it is what came out.
func (m *marker) literals(entry *yaml.Node, file string) {
	data := gitops.StringsAt(m.spec, "data")
	for _, list := range []string{"literals", "files"} {
		_, from := child(entry, list)
		for _, n := range items(from) {
			key, value, keyed := strings.Cut(n.Value, "=")
			if !keyed {
				key = path.Base(n.Value)
			}
			value = strings.Trim(value, `"'`)
			is, made := data[key]
			if made && (list == "files" || is == value || is == base64.StdEncoding.EncodeToString([]byte(value))) {
				m.set(plan.Field("data", key), file, n.Line)
			}
		}
	}
}
